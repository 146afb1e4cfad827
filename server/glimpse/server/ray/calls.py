"""Answers the calls of Serve's proxy with the servicers of `glimpse serve`.

proxy ─▶ Replica.Classify(request, grpc_context) ─▶ interceptors ─▶ ClassificationService.Classify(request, Context)
"""

import time
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
from ray.serve._private.proxy_request_response import ResponseStatus
from ray.serve.grpc_util import RayServegRPCContext

from glimpse.server.api.dispatcher import Dispatcher, Metadata
from glimpse.server.ray.proxy import TIME_REMAINING


class Context:
    """The part of grpc.aio.ServicerContext that services and interceptors use, for a call through Serve."""

    def __init__(self, serve_context: RayServegRPCContext) -> None:
        self._context: Any = serve_context
        remaining = dict(serve_context.invocation_metadata()).get(TIME_REMAINING)
        self._end = None if remaining is None else time.monotonic() + float(remaining)
        self.peer, self.invocation_metadata = serve_context.peer, serve_context.invocation_metadata
        self.code, self.details = serve_context.code, serve_context.details
        self.trailing_metadata = serve_context.trailing_metadata

    def time_remaining(self) -> float | None:
        """Returns the seconds until the deadline; None if there is no deadline."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def set_trailing_metadata(self, metadata: Metadata) -> None:
        """Replaces the trailing metadata."""
        self._context.set_trailing_metadata(list(metadata))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()) -> NoReturn:
        """Ends the call with a status. Raises grpc.aio.AbortError."""
        self._context.set_code(code)
        self._context.set_details(details)
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        raise grpc.aio.AbortError


class Refusal:
    """Takes the place of the response of a refused call.

    For an exception Serve sends only code and text, which would lose the reason. With a response it sends the whole
    context. Serve's proxy takes the "serialised" refusal as the end of the call, and sends no message.
    """

    def __init__(self, context: Context) -> None:
        self._status = ResponseStatus(context.code(), is_error=True, message=context.details())

    def SerializeToString(self) -> ResponseStatus:  # noqa: N802 (Serve calls it on every response)
        """Returns what the proxy receives."""
        return self._status


class Calls(Dispatcher):
    """Answers the calls of Serve's proxy."""

    async def one(self, method: str, request: Any, serve_context: RayServegRPCContext) -> Any:
        """Returns the response of a call with one response. `method` is /SERVICE/METHOD."""
        context = Context(serve_context)
        try:
            return await self.answer_one(method, request, context)
        except grpc.aio.AbortError:
            return Refusal(context)

    async def many(self, method: str, requests: Any, serve_context: RayServegRPCContext) -> AsyncIterator[Any]:
        """Yields the responses of a call that streams them."""
        context = Context(serve_context)
        try:
            responses = (await self.find_behavior(method, context))(requests, context)
            if not hasattr(responses, "__aiter__"):
                await responses  # a refusal
            async for response in responses:
                yield response
        except grpc.aio.AbortError:
            yield Refusal(context)
