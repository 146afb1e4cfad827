"""From what goes wrong to what the caller reads.

A RequestError is deliberate: its status code, reason, field and message reach the caller, as the status of the call
or of one item of a batch. What other rooms raise is translated in one table. Anything else is a bug: logged with its
traceback, answered "internal error".
"""

import logging
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from glimpse.backbone import InputError
from glimpse.index import IndexFolderError
from glimpse.ledger import (
    AlreadyExists,
    LedgerError,
    LedgerReplaced,
    LedgerUnavailable,
    NotFound,
    RequestIdReused,
    UnstorableText,
)
from glimpse.server.request_context import REQUEST_ID, current
from glimpse.v1 import types_pb2

logger = logging.getLogger(__name__)
Code = grpc.StatusCode
DOMAIN = "glimpse"
# When a ledger that cannot be had may be asked again.
_LEDGER_BACK_SECONDS = 1.0
# Characters of a message, of a call or of one item.
_LONGEST = 300


class Queue(StrEnum):
    """What is full where a call is refused with QUEUE_FULL: ErrorInfo.metadata["queue"] of the refusal."""

    #: Inputs that wait for a backbone.
    INPUTS = "inputs"
    #: Searches that wait for the search thread.
    SEARCHES = "searches"
    #: Writes that wait for the ledger.
    WRITES = "writes"
    #: Calls in gRPC's own queue, which wait for the event loop.
    CALLS = "calls"
    #: Calls whose message arrives, or waits to be read.
    MESSAGES = "messages"
    #: Memory of the requests and answers in flight.
    MEMORY = "memory"


@dataclass
class RequestError(Exception):
    """A refusal the caller is told of. `retry_delay` in seconds; None: trying again will not help."""

    code: grpc.StatusCode
    reason: str
    message: str
    field: str = ""
    retry_delay: float | None = None
    queue: Queue | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    def at(self, field: str) -> "RequestError":
        """The same refusal, of a request field."""
        return replace(self, field=field)


def invalid(reason: str, message: str, field: str = "") -> RequestError:
    """INVALID_ARGUMENT."""
    return RequestError(Code.INVALID_ARGUMENT, reason, message, field)


def not_found(reason: str, message: str, field: str = "") -> RequestError:
    """NOT_FOUND."""
    return RequestError(Code.NOT_FOUND, reason, message, field)


def already_exists(reason: str, message: str, field: str = "") -> RequestError:
    """ALREADY_EXISTS."""
    return RequestError(Code.ALREADY_EXISTS, reason, message, field)


def failed_precondition(reason: str, message: str, field: str = "") -> RequestError:
    """FAILED_PRECONDITION."""
    return RequestError(Code.FAILED_PRECONDITION, reason, message, field)


def exhausted(reason: str, message: str, retry_delay: float | None = None) -> RequestError:
    """RESOURCE_EXHAUSTED."""
    return RequestError(Code.RESOURCE_EXHAUSTED, reason, message, retry_delay=retry_delay)


def queue_full(queue: Queue, message: str, retry_delay: float) -> RequestError:
    """Returns a RESOURCE_EXHAUSTED refusal with reason QUEUE_FULL that names `queue` in its metadata.

    Args:
        queue: The queue that is full.
        message: What is in the queue, for people.
        retry_delay: Seconds after which the caller may send the call again.
    """
    return RequestError(Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", message, retry_delay=retry_delay, queue=queue)


def deadline_exceeded() -> RequestError:
    """DEADLINE_EXCEEDED: the caller's time was over before the work was begun."""
    return RequestError(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "the deadline passed while waiting")


#: The answer to an unexpected exception.
INTERNAL = RequestError(Code.INTERNAL, "INTERNAL", "internal error; see the server's log")


# What other packages raise, most specific first.
_TABLE: tuple[tuple[type[Exception], grpc.StatusCode, str], ...] = (
    (RequestIdReused, Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"),
    (AlreadyExists, Code.ALREADY_EXISTS, "ALREADY_EXISTS"),
    (NotFound, Code.NOT_FOUND, "NOT_FOUND"),
    (UnstorableText, Code.INVALID_ARGUMENT, "INVALID_CHARACTER"),
    (LedgerError, Code.INTERNAL, "LEDGER_ERROR"),
)


def as_request_error(error: Exception) -> RequestError | None:
    """The refusal an exception stands for; None if it is a bug."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, InputError):
        return invalid(error.reason, str(error))
    if isinstance(error, LedgerReplaced):  # following the ledger logs where its file is, and what to do
        return RequestError(
            Code.UNAVAILABLE,
            "LEDGER_REPLACED",
            "the ledger's file was moved or replaced while the server has it open: reads are answered, nothing is "
            "written; the server's operator has to move the file back or restart the server, whose log names the file",
            retry_delay=_LEDGER_BACK_SECONDS,
        )
    if isinstance(error, LedgerUnavailable):
        logger.warning("%s", error)  # what a database says of itself is for its operator
        message = "the ledger cannot be had at the moment; send the call again"
        return RequestError(Code.UNAVAILABLE, "LEDGER_UNAVAILABLE", message, retry_delay=_LEDGER_BACK_SECONDS)
    if isinstance(error, IndexFolderError):  # found while rows are read; where the server keeps its files stays here
        return failed_precondition("INDEX_UNUSABLE", f"the index's {error.path.name} {error.message}")
    for kind, code, reason in _TABLE:
        if isinstance(error, kind):
            return RequestError(code, reason, str(error))
    return None


def item_status(error: RequestError) -> types_pb2.ItemStatus:
    """The refusal as the status of one item."""
    return types_pb2.ItemStatus(
        code=error.code.value[0],
        reason=error.reason,
        field=_clipped(error.field),
        message=_clipped(error.message),
        retry_delay_ms=0 if error.retry_delay is None else max(1, round(error.retry_delay * 1000)),
    )


def _clipped(text: str) -> str:
    """A text that may repeat what a caller sent, whatever the length of that."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def call_status(error: RequestError) -> grpc.Status:
    """The refusal as the status of a call, with google.rpc details."""
    # It travels three times, percent-encoded once, and clients drop headers of more than a few kilobytes.
    message = _clipped(error.message)
    metadata = {"queue": error.queue.value} if error.queue else {}
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_clipped(error.field), description=message, reason=error.reason
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_delay is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(max(1, round(error.retry_delay * 1000)))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=error.code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    told: Any = rpc_status.to_status(status)  # a named tuple
    # They are sent in the place of those that the call was given when it began.
    known = ((REQUEST_ID, call.request_id),) if (call := current()) else ()
    replaced: grpc.Status = told._replace(trailing_metadata=(*told.trailing_metadata, *known))
    return replaced


async def abort(context: Any, refusal: RequestError) -> NoReturn:
    """Ends a call with its refusal."""
    status = call_status(refusal)
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort raises")
