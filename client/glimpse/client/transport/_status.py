"""From a status, a call's or an item's, to the exception it stands for."""

from dataclasses import dataclass

import grpc

from glimpse.client.transport import _errors as errors
from glimpse.client.transport._error_details import read_details
from glimpse.client.transport._errors import Code, GlimpseError, Unavailable, Unknown

_CLASSES: dict[grpc.StatusCode, type[GlimpseError]] = {
    kind.code: kind
    for kind in vars(errors).values()
    # ServerError is a family, with its members' codes and none of its own.
    if isinstance(kind, type) and issubclass(kind, GlimpseError) and kind not in (GlimpseError, errors.ServerError)
}
_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in Code}
# grpc.aio puts this in the place of a stream's true status where a write meets its end (grpc/grpc#36066). Asking
# again brings the true one to light, or works.
_LOST = "Internal error from Core"
_REQUEST_ID = "x-request-id"


def class_of(code: grpc.StatusCode) -> type[GlimpseError]:
    """The exception class of a status code."""
    return _CLASSES.get(code, Unknown)


def code_of(number: int) -> grpc.StatusCode:
    """The status code of a number; UNKNOWN for one that gRPC does not have."""
    return _BY_NUMBER.get(number, Code.UNKNOWN)


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one item of a batch failed; the attributes are as GlimpseError's."""

    code: grpc.StatusCode
    reason: str
    field: str
    message: str
    retry_delay: float | None = None

    def exception(self) -> GlimpseError:
        """The same as an exception."""
        return class_of(self.code)(self.message, reason=self.reason, field=self.field, retry_delay=self.retry_delay)

    def __str__(self) -> str:
        return str(self.exception())


def from_rpc_error(error: grpc.RpcError, attempts: int = 1) -> GlimpseError:
    """What gRPC raised, as an exception of the tree. Takes the errors of grpc and of grpc.aio."""
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return Unknown(str(error), attempts=attempts)
    code, trailers = error.code(), _pairs(error.trailing_metadata())
    details = read_details(trailers)
    if code is Code.INTERNAL and error.details() == _LOST:
        return Unavailable("the stream ended while it was written to", attempts=attempts)
    return class_of(code)(
        error.details() or code.name,
        code=code,
        reason=details.reason,
        field=details.field,
        retry_delay=details.retry_delay,
        attempts=attempts,
        request_id=next((str(value) for key, value in trailers if key == _REQUEST_ID), ""),
    )


def _pairs(metadata: object) -> list[tuple[str, str | bytes]]:
    return [(str(key), value) for key, value in metadata or ()]  # type: ignore[attr-defined]
