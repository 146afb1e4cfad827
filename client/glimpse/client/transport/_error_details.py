"""The google.rpc details of a failed call, read from its `grpc-status-details-bin` trailer.

The trailer is a google.rpc.Status. The client reads its fields as protobuf's unknown fields, so it needs no package of
google.rpc stubs:

    Status         1 code, 2 message, 3 details (Any)
    Any            1 type_url, 2 value
    ErrorInfo      1 reason, 2 domain, 3 metadata (a map: entries of 1 key, 2 value)
    BadRequest     1 field_violations (FieldViolation: 1 field)
    RetryInfo      1 retry_delay (Duration: 1 seconds, 2 nanos)
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

TRAILER = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Details:
    """The details of an error.

    Attributes:
        reason: Reason of ErrorInfo. Empty: none.
        field: First field of BadRequest. Empty: none.
        retry_delay: Delay of RetryInfo, in seconds. None: none.
        queue: Entry `queue` of ErrorInfo's metadata. Empty: none.
    """

    reason: str = ""
    field: str = ""
    retry_delay: float | None = None
    queue: str = ""


def read_details(trailers: Iterable[tuple[str, str | bytes]] | None) -> Details:
    """Returns the details in a call's trailing metadata. Missing or malformed details are empty."""
    for key, value in trailers or ():
        if key == TRAILER and isinstance(value, bytes):
            try:
                return _parse(value)
            except (DecodeError, UnicodeDecodeError):
                return Details()
    return Details()


def find_detail(trailers: Iterable[tuple[str, str | bytes]] | None, kind: str) -> bytes | None:
    """Returns the encoded message of one type among the details of a call; None if there is none."""
    for key, value in trailers or ():
        if key == TRAILER and isinstance(value, bytes):
            return next((detail for name, detail in _details(value) if name == kind), None)
    return None


def _details(status: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields the type and the encoded message of each detail."""
    for packed in values_of(status, 3):
        yield _text(packed, 1).rpartition("/")[2], next(values_of(packed, 2), b"")


def _parse(status: bytes) -> Details:
    reason, field, retry_delay, queue = "", "", None, ""
    for kind, value in _details(status):
        if kind == "google.rpc.ErrorInfo":
            reason = _text(value, 1)
            metadata = {_text(entry, 1): _text(entry, 2) for entry in values_of(value, 3) if isinstance(entry, bytes)}
            queue = metadata.get("queue", "")
        elif kind == "google.rpc.BadRequest":
            field = _text(next(values_of(value, 1), b""), 1)
        elif kind == "google.rpc.RetryInfo":
            duration = next(values_of(value, 1), b"")
            retry_delay = next(values_of(duration, 1), 0) + next(values_of(duration, 2), 0) / 1e9
    return Details(reason, field, retry_delay, queue)


def values_of(message: bytes, number: int) -> Iterator[Any]:
    """Yields the values of one field of an encoded message: int for a varint, bytes for a field with a length."""
    for field in UnknownFieldSet(Empty.FromString(message)):  # type: ignore[attr-defined]
        if field.field_number == number:
            yield field.data


def _text(message: bytes, number: int) -> str:
    return bytes(next(values_of(message, number), b"")).decode()
