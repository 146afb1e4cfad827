"""The innermost interceptor: receives the message of a unary call within limits, and counts its response.

gRPC itself reads the whole message before it calls a handler, however long that takes. If it cannot parse the bytes, it
answers INTERNAL without a reason. So for each unary method this interceptor gives gRPC a handler that takes a stream,
reads the one message itself, and passes bytes that cannot be parsed on as an UnparsableMessage.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from glimpse.server.auth.caller import set_peer
from glimpse.server.errors import RequestError, abort
from glimpse.server.request_context import current_call
from glimpse.server.scheduling.inbound import Inbound
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.telemetry.audit import is_write

# The services whose handlers are wrapped.
_SERVICES = ("/glimpse.", "/grpc.health.v1.", "/grpc.reflection.")
_Handler = Any
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class UnparsableMessage:
    """Stands for `size` bytes that could not be parsed as the message of a call, and the `problem` if it is known."""

    size: int
    problem: str = "the bytes sent are no message of this call"


class TolerantParsing(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Wraps the handlers of unary methods, so that they receive their message within limits.

    It must be the innermost interceptor, so that nothing is read of a call that another interceptor refuses.
    """

    def __init__(self, inbound: Inbound, inflight: InflightLimiter) -> None:
        self._inbound, self._inflight = inbound, inflight
        # The wrapped handlers by method: gRPC returns the same handler for every call of a method.
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
            service, _, name = method.rpartition("/")
            # The response of a write is sent even when memory is full: the write is done.
            refusable = not is_write(f"{service.rpartition('.')[2]}/{name}")
            self._wrapped[method] = _receiving(tolerant(handler), self._inbound, self._inflight, refusable=refusable)
        return self._wrapped[method]


def tolerant(handler: Any) -> Any:
    """Returns the handler, but with an UnparsableMessage in place of an error for bytes that cannot be parsed."""
    strict = handler.request_deserializer

    def parse(content: bytes) -> object:
        try:
            return strict(content)
        except DecodeError:
            return UnparsableMessage(len(content))

    return handler._replace(request_deserializer=parse)


def _receiving(handler: Any, inbound: Inbound, inflight: InflightLimiter, *, refusable: bool) -> Any:
    """Returns a handler that receives its one message within limits; a handler of streams is returned unchanged.

    Args:
        handler: The handler of the method.
        inbound: Receives the message.
        inflight: Counts the bytes of the response until it is sent.
        refusable: Whether the response may be refused if memory is full.
    """
    if handler.request_streaming:
        return handler

    async def receive(context: Context) -> Any:
        set_peer(context.peer())
        try:
            message = await inbound.receive(context)
            if handler.response_streaming:
                # Such a call may stay open, and further messages of its caller would stay in memory, unread.
                await inbound.end(context)
        except RequestError as refusal:
            await abort(context, refusal)
        if call := current_call():
            call.request, call.began = message, time.monotonic()
        return message

    async def answer_one(_: object, context: Context) -> bytes:
        response = await handler.unary_unary(await receive(context), context)
        content: bytes = handler.response_serializer(response)
        if call := current_call():
            call.response = response
        try:
            inflight.track_response(context, len(content), refusable=refusable)
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
