"""Watches every call, from outside all that may refuse it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pool

from glimpse.server.request_context import Call, enter, request_id_of
from glimpse.server.telemetry import stage_timer
from glimpse.server.telemetry.call_record import CallRecord, Context, tell
from glimpse.server.telemetry.latency_stats import CallFigures

#: What calls of methods that there are not count as.
UNKNOWN = "unknown"
# By whether requests and responses are streams.
_MAKE: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class TelemetryInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # it has none at run time
    """The outermost interceptor."""

    def __init__(self, services: Iterable[str], figures: CallFigures, ignored: Collection[str] = ()) -> None:
        """Watches the methods of `services` (full names), except those in `ignored` (paths)."""
        self._rpcs = {
            f"/{name}/{method}": f"{name.rpartition('.')[2]}/{method}" for name in services for method in _methods(name)
        }
        self._figures, self._ignored = figures, ignored

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The call's handler, watched; but not of the server's own calls."""
        if handler_call_details.method in self._ignored:
            return await continuation(handler_call_details)
        metadata: Any = handler_call_details.invocation_metadata
        rpc = self._rpcs.get(handler_call_details.method, UNKNOWN)
        request_id, span, trace_id = request_id_of(metadata), None, ""
        if stage_timer.tracing is not None:
            span, trace_id = stage_timer.tracing.begin(rpc, metadata, request_id)
        enter(call := Call(request_id, rpc, trace_id))
        handler = await continuation(handler_call_details)
        if handler is None:
            tell(call, grpc.StatusCode.UNIMPLEMENTED, "", 0.0, self._figures, span, "")
            return None
        return _watched(handler, lambda context: CallRecord(call, context, self._figures, span))


def _methods(service: str) -> list[str]:
    # Both versions of reflection have the same; there is no descriptor of the later one.
    known = "grpc.reflection.v1alpha.ServerReflection" if service.endswith(".ServerReflection") else service
    return [method.name for method in descriptor_pool.Default().FindServiceByName(known).methods]


def _watched(handler: Any, watch: Callable[[Context], CallRecord]) -> Any:
    """A handler of the same kind."""
    make = _MAKE[handler.request_streaming, handler.response_streaming]
    if handler.response_streaming:
        many = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def answers(requests: Any, context: Context) -> AsyncIterator[Any]:
            with watch(context) as watching:
                async for response in many(requests, context):
                    watching.count_refusals(response)
                    yield response

        return make(answers, handler.request_deserializer, handler.response_serializer)
    receives = (
        handler.request_streaming
    )  # see glimpse.server.api.unparsable: then it notes its message and answer itself
    one = handler.stream_unary if receives else handler.unary_unary

    async def answer(request: Any, context: Context) -> Any:
        with watch(context) as watching:
            if receives:
                response = await one(request, context)
            else:
                watching.call.request = request
                del request  # see Watch.__exit__
                watching.call.response = response = await one(watching.call.request, context)
            watching.count_refusals(watching.call.response)
        return response

    return make(answer, handler.request_deserializer, handler.response_serializer)
