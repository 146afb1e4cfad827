"""The outermost interceptor: records every call, including those that other interceptors refuse."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from typing import Any

import grpc
from google.protobuf import descriptor_pool

from glimpse.server.request_context import Call, current_call, request_id_of, set_call
from glimpse.server.telemetry import stage_timer
from glimpse.server.telemetry.call_record import CallRecord, Context, record_call
from glimpse.server.telemetry.latency_stats import CallFigures

#: Name under which calls of unknown methods are counted.
UNKNOWN = "unknown"
# Keys: whether requests are a stream, whether responses are.
_MAKE: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class TelemetryInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Records every call of the known services."""

    def __init__(self, services: Iterable[str], figures: CallFigures, ignored: Collection[str] = ()) -> None:
        """Sets the methods to record.

        Args:
            services: Full names of services.
            figures: Takes the latencies.
            ignored: Paths of methods that are not recorded.
        """
        self._rpcs = {
            f"/{name}/{method}": f"{name.rpartition('.')[2]}/{method}" for name in services for method in _methods(name)
        }
        self._figures, self._ignored = figures, ignored
        # The last handler of each rpc and its wrapper: TolerantParsing returns the same handler for every call.
        self._wrapped: dict[str, tuple[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Returns the call's handler, wrapped in a CallRecord."""
        if handler_call_details.method in self._ignored:
            return await continuation(handler_call_details)
        metadata: Any = handler_call_details.invocation_metadata
        rpc = self._rpcs.get(handler_call_details.method, UNKNOWN)
        call = Call(request_id_of(metadata), rpc)
        if stage_timer.tracing is not None:
            call.span, call.trace_id = stage_timer.tracing.begin(rpc, metadata, call.request_id)
        set_call(call)
        handler = await continuation(handler_call_details)
        if handler is None:
            record_call(call, grpc.StatusCode.UNIMPLEMENTED, "", 0.0, self._figures, "")
            return None
        known, wrapper = self._wrapped.get(rpc, (None, None))
        if known is not handler:
            wrapper = _recorded(handler, self._figures)
            self._wrapped[rpc] = handler, wrapper
        return wrapper


def _methods(service: str) -> list[str]:
    # Both versions of reflection have the same methods, but v1 has no descriptor.
    known = "grpc.reflection.v1alpha.ServerReflection" if service.endswith(".ServerReflection") else service
    return [method.name for method in descriptor_pool.Default().FindServiceByName(known).methods]


def _recorded(handler: Any, figures: CallFigures) -> Any:
    """Wraps a handler in one of the same kind, which records the call that its task works for."""
    make = _MAKE[handler.request_streaming, handler.response_streaming]
    if handler.response_streaming:
        many = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def respond_many(requests: Any, context: Context) -> AsyncIterator[Any]:
            with CallRecord(current_call(), context, figures) as recording:
                async for response in many(requests, context):
                    recording.count_refusals(response)
                    yield response

        return make(respond_many, handler.request_deserializer, handler.response_serializer)
    # A handler that receives its message itself also sets the call's request and response: see api/unparsable.py.
    receives = handler.request_streaming
    behavior = handler.stream_unary if receives else handler.unary_unary

    async def respond(request: Any, context: Context) -> Any:
        with CallRecord(current_call(), context, figures) as recording:
            if receives:
                response = await behavior(request, context)
            else:
                recording.call.request = request
                del request  # CallRecord.__exit__ must be able to free it
                recording.call.response = response = await behavior(recording.call.request, context)
            recording.count_refusals(recording.call.response)
        return response

    return make(respond, handler.request_deserializer, handler.response_serializer)
