"""Calls that Serve's proxy sends, answered by the servicers of `glimpse serve`.

proxy ─▶ Replica.Classify(request, grpc_context) ─▶ interceptors ─▶ ClassificationService.Classify(request, Context)
"""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import grpc
from ray.serve._private.proxy_request_response import ResponseStatus
from ray.serve.grpc_util import RayServegRPCContext

from glimpse.server.ray.proxy import TIME_REMAINING

_Metadata = Sequence[tuple[str, str | bytes]]


class Context:
    """Of a call that came through Serve, what services and interceptors ask of grpc.aio.ServicerContext."""

    def __init__(self, given: RayServegRPCContext) -> None:
        self._given: Any = given
        told = dict(given.invocation_metadata()).get(TIME_REMAINING)
        self._end = None if told is None else time.monotonic() + float(told)
        self.peer, self.invocation_metadata = given.peer, given.invocation_metadata
        self.code, self.details = given.code, given.details
        self.trailing_metadata = given.trailing_metadata

    def time_remaining(self) -> float | None:
        """Seconds; None: the caller waits for ever."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def set_trailing_metadata(self, metadata: _Metadata) -> None:
        """In the place of what was set before."""
        self._given.set_trailing_metadata(list(metadata))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: _Metadata = ()) -> NoReturn:
        """Ends the call with a status. Raises grpc.aio.AbortError."""
        self._given.set_code(code)
        self._given.set_details(details)
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        raise grpc.aio.AbortError


class Refusal:
    """Stands for a response where the call is refused.

    Of an exception Serve sends code and text alone, which would lose our reasons. With a response it sends the whole
    context. Its proxy takes this one, once "serialised", for word of the call's end, and sends nothing of it.
    """

    def __init__(self, context: Context) -> None:
        self._status = ResponseStatus(context.code(), is_error=True, message=context.details())

    def SerializeToString(self) -> ResponseStatus:  # noqa: N802 (Serve calls it on every response)
        """What the proxy is sent."""
        return self._status


@dataclass(frozen=True, slots=True)
class _CallDetails:
    """As grpc.HandlerCallDetails, which nobody can make."""

    method: str
    invocation_metadata: _Metadata


class Calls:
    """Stands for a grpc.aio.Server where services are added to it, and answers their calls."""

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor] = ()) -> None:  # type: ignore[type-arg,unused-ignore]
        """`interceptors`: as a server's; the first is the outermost."""
        self._interceptors = interceptors
        self._handlers: dict[str, Any] = {}

    def add_generic_rpc_handlers(self, _: object) -> None:
        """These are the registered ones, in another form."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """As the server's own."""
        self._handlers |= {f"/{service}/{name}": handler for name, handler in handlers.items()}

    async def one(self, method: str, request: Any, given: RayServegRPCContext) -> Any:
        """The answer of a call that has one. `method`: /SERVICE/METHOD."""
        context = Context(given)
        try:
            answer = (await self._handler(method, context))(request, context)
            return await (anext(answer) if hasattr(answer, "__aiter__") else answer)
        except grpc.aio.AbortError:
            return Refusal(context)

    async def many(self, method: str, requests: Any, given: RayServegRPCContext) -> AsyncIterator[Any]:
        """The answers of one that streams them."""
        context = Context(given)
        try:
            answers = (await self._handler(method, context))(requests, context)
            if not hasattr(answers, "__aiter__"):
                await answers  # it refuses
            async for response in answers:
                yield response
        except grpc.aio.AbortError:
            yield Refusal(context)

    async def _handler(self, method: str, context: Context) -> Any:
        """What answers it, or refuses it in the name of an interceptor: that need not be of the call's own kind."""

        async def find(details: Any) -> Any:
            return self._handlers[details.method]

        proceed: Any = find
        for interceptor in reversed(self._interceptors):
            proceed = partial(interceptor.intercept_service, proceed)
        handler = await proceed(_CallDetails(method, context.invocation_metadata()))
        return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
