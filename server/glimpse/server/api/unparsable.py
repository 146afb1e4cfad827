"""The innermost interceptor: receives the message of a unary call and sends its response, within the server's limits.

gRPC by itself reads the whole message before it calls a handler, however long that takes. It also answers INTERNAL
where the bytes are no message of the call. So this interceptor gives gRPC a streaming handler for each unary call, and
reads the one message itself.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from glimpse.server.errors import RequestError, abort
from glimpse.server.request_context import current
from glimpse.server.scheduling.inbound import Inbound
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.telemetry.audit import is_write

# The services whose handlers are wrapped.
_SERVICES = ("/glimpse.", "/grpc.health.v1.", "/grpc.reflection.")
_Handler = Any
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class UnparsableMessage:
    """Stands for `size` bytes that could not be parsed as the message of a call."""

    size: int


class TolerantParsing(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Wraps the handlers of calls.

    It must be the innermost interceptor, so that nothing is read of a call that another interceptor refuses.
    """

    def __init__(self, inbound: Inbound, inflight: InflightLimiter) -> None:
        """Receives messages through `inbound`, and counts responses in `inflight` until they are sent."""
        self._inbound, self._inflight = inbound, inflight
        # gRPC returns the same handler at each call of a method, so each is wrapped once.
        self._wrapped: dict[str, _Handler] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Returns the wrapped handler of a call; see grpc.aio.ServerInterceptor."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.request_deserializer is None or not method.startswith(_SERVICES):
            return handler
        if method not in self._wrapped:
            self._wrapped[method] = _bounded(forgiving(handler), self._inbound, self._inflight)
        return self._wrapped[method]


def forgiving(handler: Any) -> Any:
    """Returns a handler that gets an UnparsableMessage for bytes that cannot be parsed, instead of failing."""
    strict = handler.request_deserializer

    def parse(content: bytes) -> object:
        try:
            return strict(content)
        except DecodeError:
            return UnparsableMessage(len(content))

    return handler._replace(request_deserializer=parse)


def _bounded(handler: Any, inbound: Inbound, inflight: InflightLimiter) -> Any:
    """Returns a handler that receives its one message itself; a handler that takes a stream is returned as it is."""
    if handler.request_streaming:
        return handler

    async def receive(context: Context) -> Any:
        try:
            message = await inbound.receive(context)
            if handler.response_streaming:
                # Such a call may stay open, and whatever else its caller sent would stay in memory, unread.
                await inbound.end(context)
        except RequestError as refusal:
            await abort(context, refusal)
        if call := current():
            call.arrived(message)
        return message

    async def answer_one(_: object, context: Context) -> bytes:
        response = await handler.unary_unary(await receive(context), context)
        content: bytes = handler.response_serializer(response)
        call = current()
        if call:
            call.response = response
        try:
            # A write is committed, so its response must be sent.
            inflight.send(context, len(content), refusable=not (call and is_write(call.rpc)))
        except RequestError as refusal:
            await abort(context, refusal)
        return content

    async def answer_many(_: object, context: Context) -> AsyncIterator[Any]:
        async for response in handler.unary_stream(await receive(context), context):
            yield response

    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(
            answer_many, handler.request_deserializer, handler.response_serializer
        )
    return grpc.stream_unary_rpc_method_handler(answer_one, handler.request_deserializer)
