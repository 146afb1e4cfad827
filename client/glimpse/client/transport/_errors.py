"""The exceptions of the client, as one tree:

    GlimpseError
      InvalidArgument      the request is malformed; `field` names the part
        OutOfRange         a value is beyond the valid range
      FailedPrecondition   the request is valid, but not in the present state
      NotFound             the backbone, collection, label or example does not exist
      AlreadyExists        the id is taken
      Unauthenticated      there is no valid API key, token or certificate
      PermissionDenied     the caller may not do this
      ResourceExhausted    the server is busy (with `retry_delay`), or a limit is exceeded (without)
      Unavailable          no server answers, or the server is starting or stopping
      DeadlineExceeded     there was no answer in time
      Cancelled            the call was cancelled
      Aborted              another write interfered
        ReviewGroupChanged a group of review items has other members now; `group` has it
      Unimplemented        the server is older than the client
      ServerError          the server failed
        Internal           a bug in the server, or a broken connection
        DataLoss           stored data cannot be read
        Unknown            an error without a code of its own
      EnrollmentFailed     some examples were not enrolled; `enrollment` has every result

A call that fails raises one of these. An item of a call that fails has an `ItemError`, and `unwrap()` of its result
raises one of these. `_status` converts gRPC's errors.
"""

import grpc

Code = grpc.StatusCode


class GlimpseError(Exception):
    """Raised when a call, or one item of a call, fails. It is the base class of all exceptions of the client.

    Attributes:
        message: What happened and what to do next, for people.
        code: The gRPC status code.
        reason: A stable, machine-readable reason, for example COLLECTION_NOT_FOUND. docs/errors.md lists all reasons.
            Empty: none.
        field: The request field at fault, for example `inputs[3].image`. Empty: none.
        retry_delay: Seconds after which the call or item may be sent again. None: the server names no delay.
        queue: The queue that is full if `reason` is QUEUE_FULL: `inputs`, `searches`, `writes`, `calls`, `messages` or
            `memory`. Empty: another reason, or the error of an item.
        attempts: How often the call was sent. If a create call ends with AlreadyExists, or a delete call with NotFound,
            after more than one attempt, an earlier attempt may have succeeded.
        request_id: Id of the call in the server's log. Empty: no server answered, or it is the error of an item.
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
        queue: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.reason = reason
        self.field = field
        self.retry_delay = retry_delay
        self.attempts = attempts
        self.request_id = request_id
        self.queue = queue

    def __str__(self) -> str:
        where = f" ({self.field})" if self.field else ""
        return f"{self.reason or self.code.name}{where}: {self.message}"


class InvalidArgument(GlimpseError):
    """Raised when the request is malformed; `field` names the part."""

    code = Code.INVALID_ARGUMENT


class OutOfRange(InvalidArgument):
    """Raised when a value is beyond the valid range."""

    code = Code.OUT_OF_RANGE


class FailedPrecondition(GlimpseError):
    """Raised when a valid request does not fit the present state, for example to delete a collection with labels."""

    code = Code.FAILED_PRECONDITION


class NotFound(GlimpseError):
    """Raised when a backbone, collection, label, example or index does not exist."""

    code = Code.NOT_FOUND


class AlreadyExists(GlimpseError):
    """Raised when the id of a new collection or label is taken."""

    code = Code.ALREADY_EXISTS


class Unauthenticated(GlimpseError):
    """Raised when the server requires authentication and the API key, token or certificate is not valid."""

    code = Code.UNAUTHENTICATED


class PermissionDenied(GlimpseError):
    """Raised when the caller's key or token does not allow the call."""

    code = Code.PERMISSION_DENIED


class ResourceExhausted(GlimpseError):
    """Raised when the server is busy (`retry_delay` is set) or a limit is exceeded (it is None)."""

    code = Code.RESOURCE_EXHAUSTED


class Unavailable(GlimpseError):
    """Raised when no server answers, or the server is starting or stopping."""

    code = Code.UNAVAILABLE


class DeadlineExceeded(GlimpseError):
    """Raised when there is no answer before the timeout."""

    code = Code.DEADLINE_EXCEEDED


class Cancelled(GlimpseError):
    """Raised when the call was cancelled."""

    code = Code.CANCELLED


class Aborted(GlimpseError):
    """Raised when another write interfered with the call."""

    code = Code.ABORTED


class Unimplemented(GlimpseError):
    """Raised when the server does not have the method, because it is older than the client."""

    code = Code.UNIMPLEMENTED


class ServerError(GlimpseError):
    """Raised when the server failed; its log has the details."""

    code = Code.UNKNOWN


class Internal(ServerError):
    """Raised when the server has a bug, or the connection is broken."""

    code = Code.INTERNAL


class DataLoss(ServerError):
    """Raised when stored data cannot be read."""

    code = Code.DATA_LOSS


class Unknown(ServerError):
    """Raised when an error has no code of its own."""

    code = Code.UNKNOWN
