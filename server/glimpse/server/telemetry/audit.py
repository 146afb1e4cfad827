"""Who wrote what: one line for each call that writes, on the logger `glimpse.audit`, and for those that may not."""

import logging
from typing import Any

from google.protobuf.message import Message

from glimpse.v1 import collection_service_pb2

logger = logging.getLogger("glimpse.audit")
# Of the things that one call wrote.
_MOST_SUBJECTS = 20
# Characters of a name in a request that is read for it: more than any name has.
_LONGEST_NAME = 1_024

_SERVICE = collection_service_pb2.DESCRIPTOR.services_by_name["CollectionService"]
#: Calls that only read, though they say as of which revision.
_READS = {"GetCollectionReport"}
#: Calls that start a write and return before it is done.
_STARTS = {"StartCompaction"}
_WRITES = frozenset(
    f"{_SERVICE.name}/{method.name}"
    for method in _SERVICE.methods
    if method.name in _STARTS or ("revision" in method.output_type.fields_by_name and method.name not in _READS)
)


def is_write(rpc: str) -> bool:
    """Whether a call, `Service/Method`, changes the ledger."""
    return rpc in _WRITES


def write(rpc: str, caller: str, request: Any, response: Any, code: str, reason: str, left_out: int = 0) -> None:
    """One line.

    `request`: None of a call that the gate refused, before anything of it was read; `response`: of one that was refused
    anywhere. `left_out`: lines of the caller's that were not written before this one.
    """
    collection, subjects = _subjects(request, response) if request is not None else ("", [])
    told = {
        "rpc": rpc,
        "code": code,
        "reason": reason,
        "caller": caller,
        "collection": collection,
        "subjects": subjects[:_MOST_SUBJECTS],
        "subject_count": len(subjects),
        "revision": getattr(response, "revision", 0),
    }
    if left_out:
        told["left_out"] = left_out
    text = " ".join(f"{name}={value if isinstance(value, int) else repr(value)}" for name, value in told.items())
    logger.info("%s", text, extra={"fields": told})


def _subjects(request: Any, response: Any) -> tuple[str, list[str]]:
    """The id of the collection that a call is about, and what it made or changed there."""
    name, *rest = [*_names(request), ""]
    segments = name.split("/")  # collections/{collection}[/labels/{label}]
    collection = segments[1] if len(segments) > 1 else getattr(request, "collection_id", "")
    subjects = segments[3:4] + [one for one in rest if one]
    if label := getattr(request, "label_id", ""):
        subjects.append(label)
    for result in getattr(response, "results", ()):
        if result.example.name and not result.duplicate:
            subjects.append(result.example.name.rpartition("/")[2])
    return collection[:100], [subject[:100] for subject in subjects]


def _names(request: Any) -> list[str]:
    """The resource names in a request: in it, or in the resource that it carries."""
    found = []
    for field in ("name", "parent", "collection", "label", "index"):
        value = getattr(request, field, "")
        value = getattr(value, "name", "") if isinstance(value, Message) else value
        if value:
            found.append(str(value)[:_LONGEST_NAME])
    return found
