"""Calls that enroll and classify images, for tests that need an answer and not its details."""

from typing import Any

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.server import Stubs

Input = types_pb2.Input


def enroll(
    stubs: Stubs, collection: str, labelled: list[tuple[str, bytes]], **fields: object
) -> col.EnrollExamplesResponse:
    """Enrolls pairs of label and image, and creates the labels. `fields` are set in the request."""
    examples = [col.NewExample(label_id=label, input=Input(image=image)) for label, image in labelled]
    request = col.EnrollExamplesRequest(parent=collection, examples=examples, create_labels=True)
    request.MergeFrom(col.EnrollExamplesRequest(**fields))  # type: ignore[arg-type]
    response: col.EnrollExamplesResponse = stubs.collections.EnrollExamples(request)
    return response


def answer(stubs: Stubs, collection: str, image: bytes, **options: Any) -> cls.Classification:
    """Classifies one image by one collection. `options` are fields of ClassifyOptions."""
    request = cls.ClassifyRequest(
        collections=[collection], inputs=[Input(image=image)], options=cls.ClassifyOptions(**options)
    )
    [result] = stubs.classification.Classify(request).results
    [classification] = result.classifications
    return classification
