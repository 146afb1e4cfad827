"""Converts a status of a call or an item to an exception."""

from dataclasses import dataclass

import grpc

from glimpse.client.transport import _errors as errors
from glimpse.client.transport._error_details import read_details
from glimpse.client.transport._errors import Code, GlimpseError, Unavailable, Unknown

_CLASSES: dict[grpc.StatusCode, type[GlimpseError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    # ServerError is a base class without a code of its own.
    if isinstance(kind, type) and issubclass(kind, GlimpseError) and kind not in (GlimpseError, errors.ServerError)
}
_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in Code}
# grpc.aio reports this message instead of the true status if a stream ends during a write (grpc/grpc#36066). The next
# attempt succeeds or reports the true status.
_LOST = "Internal error from Core"
_REQUEST_ID = "x-request-id"


def class_of(code: grpc.StatusCode) -> type[GlimpseError]:
    """Returns the exception class of a status code."""
    return _CLASSES.get(code, Unknown)


def code_of(number: int) -> grpc.StatusCode:
    """Returns the status code with a number, or UNKNOWN if gRPC has none."""
    return _BY_NUMBER.get(number, Code.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ItemError:
    """The error of one item of a call.

    Attributes:
        code: The gRPC status code.
        reason: A stable, machine-readable reason, for example IMAGE_DAMAGED. Empty: none.
        field: The request field at fault. Empty: none.
        message: What happened and what to do next, for people.
        retry_delay: Seconds after which the item may be sent again. None: sending it again does not help.
    """

    code: grpc.StatusCode
    reason: str
    field: str
    message: str
    retry_delay: float | None = None

    def exception(self) -> GlimpseError:
        """Returns the error as an exception."""
        return class_of(self.code)(self.message, reason=self.reason, field=self.field, retry_delay=self.retry_delay)

    def __str__(self) -> str:
        return str(self.exception())


def from_rpc_error(error: grpc.RpcError, attempts: int = 1) -> GlimpseError:
    """Converts an error of grpc or grpc.aio to a GlimpseError."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return Unknown(str(error), attempts=attempts)
    code, trailers = error.code(), _pairs(error.trailing_metadata())
    details = read_details(trailers)
    if code is Code.INTERNAL and error.details() == _LOST:
        return Unavailable("the stream ended during a write", attempts=attempts)
    return class_of(code)(
        error.details() or code.name,
        code=code,
        reason=details.reason,
        field=details.field,
        retry_delay=details.retry_delay,
        attempts=attempts,
        request_id=next((str(value) for key, value in trailers if key == _REQUEST_ID), ""),
        queue=details.queue,
    )


def _pairs(metadata: object) -> list[tuple[str, str | bytes]]:
    return [(str(key), value) for key, value in metadata or ()]  # type: ignore[attr-defined]
