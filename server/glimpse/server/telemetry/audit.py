"""The audit log: one line on the logger `glimpse.audit` for each call that writes, and for each refused one."""

import logging
from typing import Any

from google.protobuf.message import Message

from glimpse.v1 import collection_service_pb2, review_service_pb2

logger = logging.getLogger("glimpse.audit")
# Most subjects of one call in a line.
_MAX_SUBJECTS = 20
# Most names of several examples in a request that are read; no valid request has more.
_MAX_NAMES = 256
# Characters that are read of a name in a request; longer than any valid name.
_LONGEST_NAME = 1_024

_SERVICES = (
    collection_service_pb2.DESCRIPTOR.services_by_name["CollectionService"],
    review_service_pb2.DESCRIPTOR.services_by_name["ReviewService"],
)
#: Methods that only read, although their responses have a revision.
_READS = {"GetCollectionReport"}
#: Calls that write although their responses have no revision: they start a write, or change no collection.
_WITHOUT_REVISION = {"StartCompaction", "PurgeReview"}
_WRITES = frozenset(
    f"{service.name}/{method.name}"
    for service in _SERVICES
    for method in service.methods
    if method.name in _WITHOUT_REVISION
    or ("revision" in method.output_type.fields_by_name and method.name not in _READS)
)
#: Calls that return what people sent.
_CONTENT_READS = frozenset({"CollectionService/BatchGetExampleContent", "ReviewService/GetReviewContent"})


def is_write(rpc: str) -> bool:
    """Returns whether a call, `Service/Method`, changes the ledger."""
    return rpc in _WRITES


def is_audited(rpc: str) -> bool:
    """Returns whether a call, `Service/Method`, has a line: a write, or a read of kept inputs."""
    return rpc in _WRITES or rpc in _CONTENT_READS


def write(rpc: str, caller: str, request: Any, response: Any, code: str, reason: str, left_out: int = 0) -> None:
    """Writes one line.

    Args:
        rpc: `Service/Method`.
        caller: Name of the caller.
        request: The request; None if the auth interceptor refused the call, which happens before it is read.
        response: The response; None if the call was refused.
        code: Status code.
        reason: Reason of the refusal; empty if there was none.
        left_out: Number of the caller's lines that were left out before this one.
    """
    collection, subjects = _subjects(request, response) if request is not None else ("", [])
    fields = {
        "rpc": rpc,
        "code": code,
        "reason": reason,
        "caller": caller,
        "collection": collection,
        "subjects": subjects[:_MAX_SUBJECTS],
        "subject_count": len(subjects),
        "revision": getattr(response, "revision", 0),
    }
    if left_out:
        fields["left_out"] = left_out
    text = " ".join(f"{name}={value if isinstance(value, int) else repr(value)}" for name, value in fields.items())
    logger.info("%s", text, extra={"fields": fields})


def _subjects(request: Any, response: Any) -> tuple[str, list[str]]:
    """Returns the id of a call's collection, and the ids that it created or changed there."""
    name, *rest = [*_names(request), ""]
    segments = name.split("/")  # collections/{collection}[/labels/{label}]
    collection = segments[1] if len(segments) > 1 else getattr(request, "collection_id", "")
    subjects = segments[3:4] + [name for name in rest if name]
    # A refused call may have any number of names.
    subjects += [name[:_LONGEST_NAME].rpartition("/")[2] for name in getattr(request, "names", ())[:_MAX_NAMES]]
    if label := getattr(request, "label_id", ""):
        subjects.append(label)
    for result in getattr(response, "results", ()):
        # That of a resolution has the name of an example, and its items are subjects already.
        example = getattr(result.example, "name", "")
        if example and not result.duplicate:
            subjects.append(example.rpartition("/")[2])
    return collection[:100], [subject[:100] for subject in subjects]


def _names(request: Any) -> list[str]:
    """Returns the resource names in a request, or in the resource that it carries."""
    names = []
    for field in ("name", "parent", "collection", "label", "index"):
        value = getattr(request, field, "")
        value = getattr(value, "name", "") if isinstance(value, Message) else value
        if value:
            names.append(str(value)[:_LONGEST_NAME])
    return names
