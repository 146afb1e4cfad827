"""Messages that do not parse reach their call as such, to be refused with a reason like any other bad input.

By itself gRPC tells the caller that the server has failed, and the log all about it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

# Of what is called: others answer for themselves.
_OURS = ("/glimpse.", "/grpc.health.v1.", "/grpc.reflection.")
_Handler = Any


@dataclass(frozen=True, slots=True)
class Unparsed:
    """Stands for a message that is none. `size`: of its bytes."""

    size: int


class Parsing(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Hands calls of this package's services an Unparsed where bytes are no message."""

    def __init__(self) -> None:
        # A method's handler is the same at each call.
        self._kept: dict[str, _Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """See gRPC's documentation of interceptors."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.request_deserializer is None or not method.startswith(_OURS):
            return handler
        if method not in self._kept:
            self._kept[method] = forgiving(handler)
        return self._kept[method]


def forgiving(handler: Any) -> Any:
    """A method's handler that is given an Unparsed."""
    strict = handler.request_deserializer

    def parse(content: bytes) -> object:
        try:
            return strict(content)
        except DecodeError:
            return Unparsed(len(content))

    return handler._replace(request_deserializer=parse)
