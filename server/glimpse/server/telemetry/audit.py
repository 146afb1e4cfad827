"""The audit log: one line on the logger `glimpse.audit` for each call that writes, and for each refused one."""

import logging
from typing import Any

from google.protobuf.message import Message

from glimpse.v1 import collection_service_pb2

logger = logging.getLogger("glimpse.audit")
# Most subjects of one call in a line.
_MAX_SUBJECTS = 20
# Most names of several examples in a request that are read; no valid request has more.
_MAX_NAMES = 256
# Characters that are read of a name in a request; longer than any valid name.
_LONGEST_NAME = 1_024

_SERVICE = collection_service_pb2.DESCRIPTOR.services_by_name["CollectionService"]
#: Methods that only read, although their responses have a revision.
_READS = {"GetCollectionReport"}
#: Calls that start a write and return before it is done.
_STARTS = {"StartCompaction"}
_WRITES = frozenset(
    f"{_SERVICE.name}/{method.name}"
    for method in _SERVICE.methods
    if method.name in _STARTS or ("revision" in method.output_type.fields_by_name and method.name not in _READS)
)


def is_write(rpc: str) -> bool:
    """Returns whether a call, `Service/Method`, changes the ledger."""
    return rpc in _WRITES


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
        if result.example.name and not result.duplicate:
            subjects.append(result.example.name.rpartition("/")[2])
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
