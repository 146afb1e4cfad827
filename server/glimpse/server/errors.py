"""The errors that reach callers, and their form on the wire.

A RequestError is deliberate: its status code, reason, field and message reach the caller, as the status of the call or
of one item of a batch. The exceptions of other packages are translated by one table. Any other exception is a bug: it
is logged with its traceback, and the caller gets "internal error".
"""

import logging
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
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
    ResolutionChanged,
    ReviewGroupChanged,
    UnstorableText,
)
from glimpse.server.request_context import REQUEST_ID, current_call
from glimpse.v1 import types_pb2

logger = logging.getLogger(__name__)
Code = grpc.StatusCode
DOMAIN = "glimpse"
# The retry delay while the ledger is unavailable.
_LEDGER_RETRY_SECONDS = 1.0
# Characters of the message of a call or of one item.
_MAX_MESSAGE = 300


class Queue(StrEnum):
    """The queues that may be full. The value is ErrorInfo.metadata["queue"] of a QUEUE_FULL error."""

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
    """An error that reaches the caller.

    Attributes:
        code: The gRPC status code.
        reason: The stable reason in UPPER_SNAKE_CASE; docs/errors.md lists all of them.
        message: What happened and what to do next, for people.
        field: The request field at fault, for example `inputs[3].image`; empty if no field is.
        retry_delay: Seconds after which the call may be sent again. None means that sending it again does not help.
        queue: The full queue of a QUEUE_FULL refusal.
        detail: A message of the contract for programs, in addition to the details that every refusal has.
    """

    code: grpc.StatusCode
    reason: str
    message: str
    field: str = ""
    retry_delay: float | None = None
    queue: Queue | None = None
    detail: Message | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    def at(self, field: str) -> "RequestError":
        """Returns a copy of the error that names a request field."""
        return replace(self, field=field)


def invalid(reason: str, message: str, field: str = "") -> RequestError:
    """Returns an INVALID_ARGUMENT error."""
    return RequestError(Code.INVALID_ARGUMENT, reason, message, field)


def not_found(reason: str, message: str, field: str = "") -> RequestError:
    """Returns a NOT_FOUND error."""
    return RequestError(Code.NOT_FOUND, reason, message, field)


def already_exists(reason: str, message: str, field: str = "") -> RequestError:
    """Returns an ALREADY_EXISTS error."""
    return RequestError(Code.ALREADY_EXISTS, reason, message, field)


def failed_precondition(reason: str, message: str, field: str = "") -> RequestError:
    """Returns a FAILED_PRECONDITION error."""
    return RequestError(Code.FAILED_PRECONDITION, reason, message, field)


def exhausted(reason: str, message: str, retry_delay: float | None = None) -> RequestError:
    """Returns a RESOURCE_EXHAUSTED error. `retry_delay` is in seconds."""
    return RequestError(Code.RESOURCE_EXHAUSTED, reason, message, retry_delay=retry_delay)


def queue_full(queue: Queue, message: str, retry_delay: float) -> RequestError:
    """Returns a RESOURCE_EXHAUSTED error with the reason QUEUE_FULL, which names `queue` in its metadata.

    Args:
        queue: The queue that is full.
        message: What is in the queue, for people.
        retry_delay: Seconds after which the caller may send the call again.
    """
    return RequestError(Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", message, retry_delay=retry_delay, queue=queue)


def deadline_exceeded() -> RequestError:
    """Returns a DEADLINE_EXCEEDED error, for an input whose deadline passed before the work on it started."""
    return RequestError(Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "the deadline passed while waiting")


#: The answer to an unexpected exception.
INTERNAL = RequestError(Code.INTERNAL, "INTERNAL", "internal error; see the server's log")


# The exceptions of other packages, most specific first.
_TABLE: tuple[tuple[type[Exception], grpc.StatusCode, str], ...] = (
    (RequestIdReused, Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"),
    (ResolutionChanged, Code.FAILED_PRECONDITION, "RESOLUTION_CHANGED"),
    (ReviewGroupChanged, Code.ABORTED, "REVIEW_GROUP_CHANGED"),
    (AlreadyExists, Code.ALREADY_EXISTS, "ALREADY_EXISTS"),
    (NotFound, Code.NOT_FOUND, "NOT_FOUND"),
    (UnstorableText, Code.INVALID_ARGUMENT, "INVALID_CHARACTER"),
    (LedgerError, Code.INTERNAL, "LEDGER_ERROR"),
)


def as_request_error(error: Exception) -> RequestError | None:
    """Returns the error that reaches the caller for an exception; None if the exception is a bug."""
    if isinstance(error, RequestError):
        return error
    if isinstance(error, InputError):
        return invalid(error.reason, str(error))
    if isinstance(error, LedgerReplaced):  # the follower of the ledger logs the path of the file
        return RequestError(
            Code.UNAVAILABLE,
            "LEDGER_REPLACED",
            "the ledger's file was moved or replaced while the server has it open, so the server answers only reads; "
            "ask its operator to move the file back or to restart the server, whose log names the file",
            retry_delay=_LEDGER_RETRY_SECONDS,
        )
    if isinstance(error, LedgerUnavailable):
        logger.warning("%s", error)  # the database's own message is for the operator of the server
        message = "ledger temporarily unavailable; retry"
        return RequestError(Code.UNAVAILABLE, "LEDGER_UNAVAILABLE", message, retry_delay=_LEDGER_RETRY_SECONDS)
    if isinstance(error, IndexFolderError):  # callers must not learn the paths of the server's files
        return failed_precondition("INDEX_UNUSABLE", f"the index's {error.path.name} {error.message}")
    for kind, code, reason in _TABLE:
        if isinstance(error, kind):
            return RequestError(code, reason, str(error))
    return None


def item_status(error: RequestError) -> types_pb2.ItemStatus:
    """Returns an error as the status of one item of a batch."""
    return types_pb2.ItemStatus(
        code=error.code.value[0],
        reason=error.reason,
        field=_clipped(error.field),
        message=_clipped(error.message),
        retry_delay_ms=0 if error.retry_delay is None else max(1, round(error.retry_delay * 1000)),
    )


def _clipped(text: str) -> str:
    """Limits the length of a text, which may repeat what the caller sent."""
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"


def as_status(error: RequestError) -> status_pb2.Status:
    """Returns an error as a google.rpc.Status with details: ErrorInfo, BadRequest and RetryInfo."""
    # gRPC sends the message three times, once percent-encoded, and clients drop headers of more than a few kilobytes.
    message = _clipped(error.message)
    metadata = {"queue": error.queue.value} if error.queue else {}
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_clipped(error.field), description=message, reason=error.reason
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.retry_delay is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(max(1, round(error.retry_delay * 1000)))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if error.detail is not None:
        details.append(error.detail)
    status = status_pb2.Status(code=error.code.value[0], message=message)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def call_status(error: RequestError) -> grpc.Status:
    """Returns an error as the status of a call, with the details of `as_status`."""
    plain: Any = rpc_status.to_status(as_status(error))  # a named tuple
    # This metadata replaces the trailing metadata that the call got at its start, so the request id is repeated.
    request_id = ((REQUEST_ID, call.request_id),) if (call := current_call()) else ()
    with_id: grpc.Status = plain._replace(trailing_metadata=(*plain.trailing_metadata, *request_id))
    return with_id


async def abort(context: Any, refusal: RequestError) -> NoReturn:
    """Ends a call with an error.

    Args:
        context: The grpc.aio.ServicerContext of the call.
        refusal: The error.
    """
    status = call_status(refusal)
    await context.abort(status.code, status.details, status.trailing_metadata)
    raise AssertionError("abort raises")
