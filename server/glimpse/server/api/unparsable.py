"""How a call gets its message, and sends its answer: within bounds, and with a reason where that fails.

By itself gRPC reads a message, however long that takes, before it calls a handler; and where bytes are no message it
says that the server has failed. So handlers of calls with one message are given to it as if they took a stream.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from glimpse.server.auth.caller import set_peer
from glimpse.server.errors import RequestError, abort
from glimpse.server.request_context import current
from glimpse.server.scheduling.inbound import Inbound
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.telemetry.audit import is_write

# Of what is called: others answer for themselves.
_OURS = ("/glimpse.", "/grpc.health.v1.", "/grpc.reflection.")
_Handler = Any
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class UnparsableMessage:
    """Stands for a message that is none. `size`: of its bytes."""

    size: int


class TolerantParsing(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """The innermost interceptor, so that nothing is read or parsed of a call that is not let in."""

    def __init__(self, inbound: Inbound, inflight: InflightLimiter) -> None:
        self._inbound, self._inflight = inbound, inflight
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
            service, _, name = method.rpartition("/")
            # The response of a write is sent even when memory is full: the write is done.
            refusable = not is_write(f"{service.rpartition('.')[2]}/{name}")
            self._kept[method] = _bounded(forgiving(handler), self._inbound, self._inflight, refusable=refusable)
        return self._kept[method]


def forgiving(handler: Any) -> Any:
    """A method's handler that is given an UnparsableMessage."""
    strict = handler.request_deserializer

    def parse(content: bytes) -> object:
        try:
            return strict(content)
        except DecodeError:
            return UnparsableMessage(len(content))

    return handler._replace(request_deserializer=parse)


def _bounded(handler: Any, inbound: Inbound, inflight: InflightLimiter, *, refusable: bool) -> Any:
    """A handler that receives its one message itself; one that takes a stream of them is as it was."""
    if handler.request_streaming:
        return handler

    async def receive(context: Context) -> Any:
        set_peer(context.peer())
        try:
            message = await inbound.receive(context)
            if handler.response_streaming:
                # Such a call may stay open: what its caller sent meanwhile would stay in memory, unread.
                await inbound.end(context)
        except RequestError as refusal:
            await abort(context, refusal)
        if call := current():
            call.request, call.began = message, time.monotonic()
        return message

    async def one(_: object, context: Context) -> bytes:
        response = await handler.unary_unary(await receive(context), context)
        content: bytes = handler.response_serializer(response)
        if call := current():
            call.response = response
        try:
            inflight.track_response(context, len(content), refusable=refusable)
        except RequestError as refusal:
            await abort(context, refusal)
        return content

    async def many(_: object, context: Context) -> AsyncIterator[Any]:
        async for response in handler.unary_stream(await receive(context), context):
            yield response

    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(many, handler.request_deserializer, handler.response_serializer)
    return grpc.stream_unary_rpc_method_handler(one, handler.request_deserializer)
