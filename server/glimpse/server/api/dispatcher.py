"""Answers calls that do not come through a gRPC server, with the same interceptors and handlers.

    transport ─▶ Dispatcher.answer_one(method, request, context) ─▶ interceptors ─▶ ClassificationService.Classify

Ray Serve's replicas and the HTTP listener use it. So credentials, scopes, rates, limits, deadlines, telemetry and
errors have one implementation for all transports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc

Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class _CallDetails:
    """The same fields as grpc.HandlerCallDetails, which has no constructor."""

    method: str
    invocation_metadata: Metadata


class Dispatcher:
    """Takes the place of a grpc.aio.Server to which services are added, and answers their calls."""

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor] = ()) -> None:  # type: ignore[type-arg,unused-ignore]
        """Answers through `interceptors`; the first is the outermost."""
        self._interceptors = interceptors
        self._handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, _: object) -> None:
        """Does nothing: these are the registered handlers in another form."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Adds the handlers of a service."""
        self._handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    async def answer_one(self, method: str, request: Any, context: Any) -> Any:
        """Answers a call that has one response.

        Args:
            method: `/SERVICE/METHOD`.
            request: The request; None if the handler reads it from the context.
            context: The call's context, with the methods of grpc.aio.ServicerContext that the services use.

        Returns:
            The response. None if there is no such method.

        Raises:
            grpc.aio.AbortError: The call is refused; the context has the status.
        """
        behavior = await self.find_behavior(method, context)
        if behavior is None:
            return None
        response = behavior(request, context)
        return await (anext(response) if hasattr(response, "__aiter__") else response)

    async def find_behavior(self, method: str, context: Any) -> Any:
        """Returns the function that answers a call, or an interceptor's that refuses it; None for an unknown method."""

        async def find(details: Any) -> Any:
            return self._handlers.get(details.method)

        proceed: Any = find
        for interceptor in reversed(self._interceptors):
            proceed = partial(interceptor.intercept_service, proceed)
        handler = await proceed(_CallDetails(method, context.invocation_metadata()))
        # A refusal may be of another kind than the method.
        return handler and (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )
