"""What can go wrong, as one tree:

    GlimpseError
      InvalidArgument      the request is wrong in itself; `field` names the part
        OutOfRange         a value past what there is
      FailedPrecondition   right in itself, but not in the server's present state
      NotFound             no such backbone, collection, label or example
      AlreadyExists        one of that id is there
      Unauthenticated      the server does not know who is calling
      PermissionDenied     the caller may not do this
      ResourceExhausted    too much: busy (with `retry_delay`), or over a limit (without)
      Unavailable          no server at the address, or one that is starting or stopping
      DeadlineExceeded     no answer in time
      Cancelled            the call was cancelled
      Aborted              another write got in between
      Unimplemented        the server is older than the client
      ServerError          the server failed
        Internal           a bug in the server, or a broken connection
        DataLoss           something stored cannot be read any more
        Unknown            an error without a code of its own
      EnrollmentFailed     some examples were not enrolled; `enrollment` has every result

A call that fails raises one of these; in a batch an item that fails has an `ItemError` instead, and `unwrap()` on its
result raises the same classes. _status.py makes them of what gRPC says.
"""

import grpc

Code = grpc.StatusCode


class GlimpseError(Exception):
    """A call, or one item of a batch, that failed.

    Attributes:
        message: What happened and what to do next, for people.
        code: The gRPC status code.
        reason: Stable and machine-readable, e.g. COLLECTION_NOT_FOUND; docs/errors.md lists them. Empty: none given.
        field: The request field at fault. Empty: none.
        retry_delay: Seconds after which the same may be sent again, as the server says. None: it says nothing.
        attempts: How often the call was sent. Where a create ends in AlreadyExists or a delete in NotFound after more
            than one attempt, it may have been an earlier one that succeeded and whose answer was lost.
        request_id: The call's, as the server's log has it. Empty: no server answered, or it is an item's error.
    """

    code: grpc.StatusCode = Code.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        field: str = "",
        retry_delay: float | None = None,
        attempts: int = 1,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.reason = reason
        self.field = field
        self.retry_delay = retry_delay
        self.attempts = attempts
        self.request_id = request_id

    def __str__(self) -> str:
        where = f" ({self.field})" if self.field else ""
        return f"{self.reason or self.code.name}{where}: {self.message}"


class InvalidArgument(GlimpseError):
    """The request is wrong in itself; `field` names the part."""

    code = Code.INVALID_ARGUMENT


class OutOfRange(InvalidArgument):
    """A value past what there is."""

    code = Code.OUT_OF_RANGE


class FailedPrecondition(GlimpseError):
    """Right in itself, but not in the server's present state."""

    code = Code.FAILED_PRECONDITION


class NotFound(GlimpseError):
    """No such backbone, collection, label or example."""

    code = Code.NOT_FOUND


class AlreadyExists(GlimpseError):
    """One of that id is there."""

    code = Code.ALREADY_EXISTS


class Unauthenticated(GlimpseError):
    """The server does not know who is calling."""

    code = Code.UNAUTHENTICATED


class PermissionDenied(GlimpseError):
    """The caller may not do this."""

    code = Code.PERMISSION_DENIED


class ResourceExhausted(GlimpseError):
    """Too much: the server is busy (then with `retry_delay`), or a limit is passed (then without)."""

    code = Code.RESOURCE_EXHAUSTED


class Unavailable(GlimpseError):
    """No server at the address, or one that is starting or stopping."""

    code = Code.UNAVAILABLE


class DeadlineExceeded(GlimpseError):
    """No answer in time."""

    code = Code.DEADLINE_EXCEEDED


class Cancelled(GlimpseError):
    """The call was cancelled."""

    code = Code.CANCELLED


class Aborted(GlimpseError):
    """Another write got in between."""

    code = Code.ABORTED


class Unimplemented(GlimpseError):
    """The server does not have this call: it is older than the client."""

    code = Code.UNIMPLEMENTED


class ServerError(GlimpseError):
    """The server failed; its log has the particulars."""

    code = Code.UNKNOWN


class Internal(ServerError):
    """A bug in the server, or a broken connection."""

    code = Code.INTERNAL


class DataLoss(ServerError):
    """Something stored cannot be read any more."""

    code = Code.DATA_LOSS


class Unknown(ServerError):
    """An error without a code of its own."""

    code = Code.UNKNOWN
