"""What runs in Serve's gRPC proxy, on each node: our services, deadlines on their way in, lost replicas on the way out.

Loads nothing of the server: a proxy forwards, and has no need of encoders.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from ray.serve._private.proxy_request_response import gRPCStreamingType as Kind

from glimpse.server.api import unparsable
from glimpse.server.api.registry import add_services

#: The metadata in which a replica finds how many seconds the caller still waits. Serve itself does not say.
TIME_REMAINING = "glimpse-time-remaining"
_STATUS = "grpc-status-details-bin"
_LOST = "the replica went away while it answered; send the call again"
Handler = Callable[[Any, Any], Any]


def add_to_proxy(servicer: Any, server: Any) -> None:
    """For `grpc_servicer_functions`: every service of ours. `servicer` stands for whatever Serve calls in its place."""
    server.service_handler_factory = _watched(server.service_handler_factory)
    forgiving: Any = _Forgiving(server)
    add_services(forgiving, servicer, servicer, servicer, servicer)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, forgiving)


class _Forgiving:
    """Stands for the proxy's server where services are added to it: what does not parse is for replicas to refuse."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, _: object) -> None:
        """These are the registered ones, in another form: added with them."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """As the server's own."""
        forgiving = {name: unparsable.forgiving(handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, forgiving),))
        self._server.add_registered_method_handlers(service, forgiving)


def _watched(make: Callable[..., Handler]) -> Callable[..., Handler]:
    """Serve's maker of handlers, with deadlines told and lost replicas named."""

    def made(service_method: str, streaming_type: Kind) -> Handler:
        handler = make(service_method=service_method, streaming_type=streaming_type)

        async def answer(request: Any, context: Any) -> Any:
            response = await handler(request, _Timed(context))
            _name_lost(context)
            return response

        async def answers(request: Any, context: Any) -> AsyncIterator[Any]:
            async for response in handler(request, _Timed(context)):
                yield response
            _name_lost(context)

        return answer if streaming_type in (Kind.UNARY_UNARY, Kind.STREAM_UNARY) else answers

    return made


class _Timed:
    """A call's context whose metadata say how long the caller still waits."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def invocation_metadata(self) -> list[tuple[str, str | bytes]]:
        sent = [(key, value) for key, value in self._context.invocation_metadata() or () if key != TIME_REMAINING]
        remaining = self._context.time_remaining()
        return sent if remaining is None else [*sent, (TIME_REMAINING, repr(max(0.0, remaining)))]


def _name_lost(context: Any) -> None:
    """Serve's INTERNAL is of a replica that died under a call, its NOT_FOUND of a proxy that knows no replica yet.

    Both may be tried again. A replica's own INTERNAL has details, and whatever it says has metadata.
    """
    told = [key for key, _ in context.trailing_metadata() or ()]
    if _is(context, grpc.StatusCode.INTERNAL) and _STATUS not in told:
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        context.set_details(_LOST)
    elif _is(context, grpc.StatusCode.NOT_FOUND) and not told:
        context.set_code(grpc.StatusCode.UNAVAILABLE)


def _is(context: Any, code: grpc.StatusCode) -> bool:
    return context.code() in (code, code.value[0])
