"""The part that runs in Serve's gRPC proxy on each node: forwards deadlines, and reports lost replicas.

It imports nothing of the server's inference, because a proxy only forwards calls.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc
from ray.serve._private.proxy_request_response import gRPCStreamingType as Kind

from glimpse.server.api import unparsable
from glimpse.server.api.registry import add_services

#: Metadata with the seconds that the caller still waits. Serve does not forward deadlines itself.
TIME_REMAINING = "glimpse-time-remaining"
_STATUS = "grpc-status-details-bin"
_LOST = "the replica was lost during the call; retry"
Handler = Callable[[Any, Any], Any]


def add_to_proxy(servicer: Any, server: Any) -> None:
    """Adds every service to the proxy, for `grpc_servicer_functions`. Serve calls its own handlers, not `servicer`."""
    server.service_handler_factory = _wrap_factory(server.service_handler_factory)
    tolerant: Any = _TolerantServer(server)
    add_services(tolerant, servicer, servicer, servicer, servicer, servicer)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, tolerant)


class _TolerantServer:
    """The proxy's server, to which services are added so that replicas refuse the messages that cannot be parsed."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, _: object) -> None:
        """Does nothing: these handlers are added with the registered ones."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Adds the handlers of a service."""
        wrapped = {name: unparsable.tolerant(handler) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, wrapped),))
        self._server.add_registered_method_handlers(service, wrapped)


def _wrap_factory(make: Callable[..., Handler]) -> Callable[..., Handler]:
    """Wraps Serve's factory of handlers, to forward deadlines and to report lost replicas."""

    def make_wrapped(service_method: str, streaming_type: Kind) -> Handler:
        handler = make(service_method=service_method, streaming_type=streaming_type)

        async def respond(request: Any, context: Any) -> Any:
            response = await handler(request, _DeadlineContext(context))
            _report_lost(context)
            return response

        async def respond_many(request: Any, context: Any) -> AsyncIterator[Any]:
            async for response in handler(request, _DeadlineContext(context)):
                yield response
            _report_lost(context)

        return respond if streaming_type in (Kind.UNARY_UNARY, Kind.STREAM_UNARY) else respond_many

    return make_wrapped


class _DeadlineContext:
    """A call's context whose metadata include the seconds until its deadline."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def invocation_metadata(self) -> list[tuple[str, str | bytes]]:
        sent = [(key, value) for key, value in self._context.invocation_metadata() or () if key != TIME_REMAINING]
        remaining = self._context.time_remaining()
        return sent if remaining is None else [*sent, (TIME_REMAINING, repr(max(0.0, remaining)))]


def _report_lost(context: Any) -> None:
    """Replaces the codes that Serve sets for a lost replica by UNAVAILABLE, so that callers retry.

    Serve sets INTERNAL if a replica died during a call, and NOT_FOUND if the proxy knows no replica yet. A replica's
    own INTERNAL has details, and its own NOT_FOUND has metadata.
    """
    keys = [key for key, _ in context.trailing_metadata() or ()]
    if _is(context, grpc.StatusCode.INTERNAL) and _STATUS not in keys:
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        context.set_details(_LOST)
    elif _is(context, grpc.StatusCode.NOT_FOUND) and not keys:
        context.set_code(grpc.StatusCode.UNAVAILABLE)


def _is(context: Any, code: grpc.StatusCode) -> bool:
    return context.code() in (code, code.value[0])
