"""The records that an enrolment writes to the ledger: examples, originals and the remembered request."""

import hashlib
import secrets
from collections.abc import Sequence

from glimpse.ledger import EnrollRequest, ExampleRecord
from glimpse.server.collections.attached_index import MODALITIES
from glimpse.server.enrollment.results import EnrollmentItem
from glimpse.server.inference.embedder import Embedded
from glimpse.server.inference.regions import content_digest, region_of
from glimpse.server.resource_names import normal
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2


def remembered_request(request: pb.EnrollExamplesRequest) -> EnrollRequest | None:
    """Returns the request id with a digest of the rest of the request; None if the request has no id."""
    if not request.request_id:
        return None
    content = pb.EnrollExamplesRequest()
    content.CopyFrom(request)
    content.request_id = ""
    digest = hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()
    # A plan that has the ledger remember the response replaces the function that builds it.
    return EnrollRequest(request.request_id, digest, lambda _: b"")


def example_record(item: EnrollmentItem, embedded: Embedded, space: str) -> ExampleRecord:
    """Returns the record of an embedded item in a collection whose embedding space is `space`."""
    example = item.example
    content = _content(example.input)
    return ExampleRecord(
        id=secrets.token_hex(8),
        label_id=item.label_id,
        content_digest=content_digest(content, region_of(example.input) if example.input.HasField("region") else None),
        modality=MODALITIES[example.input.WhichOneof("content")],
        vector=embedded.vector.astype("<f4").tobytes(),
        domain=normal(example.domain) if example.domain else "",
        metadata=dict(example.metadata),
        embedding_space=None if embedded.embedding_space == space else embedded.embedding_space,
        group=normal(example.group) if example.group else "",
    )


def originals(items: Sequence[EnrollmentItem]) -> dict[str, bytes]:
    """Returns the images and texts of the items to enroll, by content digest.

    A vector has no original. The original of a region is its crop; it has none if the collection has begun to keep
    inputs since the crop would have been made.
    """
    kept = {}
    for item in items:
        if item.record and not item.refusal and item.example.input.WhichOneof("content") != "vector":
            has_region = item.example.input.HasField("region")
            original = item.crop if has_region else _content(item.example.input)
            if original is not None:
                kept[item.record.content_digest] = original
    return kept


def _content(input: types_pb2.Input) -> bytes:
    match input.WhichOneof("content"):
        case "image":
            return input.image
        case "text":
            return input.text.encode()
    return input.vector.data
