"""The ASGI application: finds what a path stands for, and passes the call to the server's event loop and back.

HTTP thread:  headers ─▶ codec ─▶ HttpContext ──┐        ┌─ body, parsed ◀─┐          ┌─▶ JSON ─▶ response
event loop:                                     └─▶ interceptors ─▶ receive ─▶ handler ─┘
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.message import Message

from glimpse.server.api.unparsable import UnparsableMessage
from glimpse.server.errors import INTERNAL, RequestError, as_status
from glimpse.server.http.calls import HttpCalls
from glimpse.server.http.codecs import Codec, Reply, http_reply
from glimpse.server.http.connection import MAX_HEAD_BYTES, Connection
from glimpse.server.http.context import HttpContext
from glimpse.server.http.cors import Cors
from glimpse.server.http.exchange import Exchange
from glimpse.server.http.probes import CHECK
from glimpse.server.http.routes import Route, make_routes
from glimpse.server.scheduling.inflight import InflightLimiter

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Larger bodies are parsed and written by a thread of their own, one at a time, which also bounds the memory.
_LARGE_BYTES = 64 << 10


class Application:
    """Answers the requests of the HTTP thread. `loop` is the server's event loop, on which `calls` live."""

    def __init__(
        self,
        calls: HttpCalls,
        inflight: InflightLimiter,
        loop: asyncio.AbstractEventLoop,
        *,
        max_body: int,
        origins: Sequence[str],
    ) -> None:
        """Sets what the application answers with.

        Args:
            calls: Answers the calls.
            inflight: Counts the bytes of responses.
            loop: The event loop of both.
            max_body: Most bytes of a body.
            origins: The web origins whose pages may call.
        """
        self._calls, self._inflight, self._loop, self._max_body = calls, inflight, loop, max_body
        self._cors, self._routes = Cors(origins), make_routes()
        self._unknown = self._routes[CHECK]
        self._coder = ThreadPoolExecutor(1, "http-json")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request; see the ASGI specification."""
        connection: Connection = scope["state"]["connection"]
        with connection.answering():
            try:
                await self._answer(Exchange(scope, receive, send))
            except (TimeoutError, asyncio.CancelledError):  # the caller does not read, or the listener stops
                await connection.end()

    def close(self) -> None:
        """Ends the thread for large bodies."""
        self._coder.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, exchange: Exchange) -> None:
        origin = exchange.headers.get("origin")
        if exchange.verb == "OPTIONS" and origin is not None:
            await exchange.respond(*self._cors.preflight(origin))
            return
        headers, route = self._cors.headers(origin), self._find(exchange)
        if isinstance(route, Reply):
            await _send(exchange, route, headers)
            return
        codec = route.codecs[exchange.content_type]()
        try:
            self._cors.check(origin)
            exchange.check_protocol()
            context = self._context(exchange, codec)
        except RequestError as refusal:
            await _send(exchange, codec.refuse(as_status(refusal)), headers)
            return
        await self._call(route.method, exchange, codec, context, headers)

    def _find(self, exchange: Exchange) -> Route | Reply:
        """Returns the route of a request that has a codec; otherwise the reply that refuses it."""
        if exchange.head_size > MAX_HEAD_BYTES:
            return http_reply(431, f"a head has at most {MAX_HEAD_BYTES} bytes", ("connection", "close"))
        route = self._routes.get(exchange.path)
        if route is None and exchange.verb == "POST" and exchange.content_type in self._unknown.codecs:
            # A method that does not exist is refused as gRPC refuses it: after the caller's credentials are checked.
            return replace(self._unknown, method=exchange.path)
        if route is None:
            return http_reply(404, "the server has no such path; a call is POST /SERVICE/METHOD")
        if exchange.verb != route.verb:
            return http_reply(405, f"use {route.verb}", ("allow", route.verb))
        if exchange.content_type not in route.codecs:
            types = ", ".join(route.codecs) or "none"
            return http_reply(415, f"the content-type of the body must be one of: {types}", ("accept-post", types))
        return route

    def _context(self, exchange: Exchange, codec: Codec) -> HttpContext:
        """Returns the context of a call. Raises RequestError if a header is wrong."""
        loop = asyncio.get_running_loop()

        async def read() -> Message | UnparsableMessage:
            content = await exchange.read(self._max_body)
            return await self._code(codec.decode, content)

        def read_from_server() -> Any:
            return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(read(), loop))

        return HttpContext(exchange.peer, exchange.metadata, exchange.seconds, read_from_server)

    async def _code(self, work: Callable[[bytes], T], content: bytes) -> T:
        """Returns `work(content)`; in a thread if the content is large."""
        if len(content) <= _LARGE_BYTES:
            return work(content)
        return await asyncio.get_running_loop().run_in_executor(self._coder, work, content)

    async def _call(
        self, method: str, exchange: Exchange, codec: Codec, context: HttpContext, headers: Sequence[tuple[str, str]]
    ) -> None:
        """Answers a call, unless its caller leaves before."""
        call = asyncio.run_coroutine_threadsafe(self._calls.answer(method, context), self._loop)
        answered = asyncio.wrap_future(call)
        left = asyncio.ensure_future(exchange.wait_until_left())
        try:
            await asyncio.wait((answered, left), return_when=asyncio.FIRST_COMPLETED)
            if not answered.done() or answered.cancelled():
                return
            reply = await self._reply(codec, context, answered.result())
            if (extra := len(reply.content) - _LARGE_BYTES) > 0:
                self._loop.call_soon_threadsafe(context.hold, self._inflight, extra)
            await _send(exchange, reply, [*headers, *context.response_headers()])
        finally:
            left.cancel()
            answered.cancel()
            self._loop.call_soon_threadsafe(context.finish)

    async def _reply(self, codec: Codec, context: HttpContext, content: bytes | None) -> Reply:
        if content is None:
            return codec.refuse(context.status())
        try:
            return await self._code(codec.encode, content)
        except Exception:
            logger.exception("a response cannot be written as JSON")
            return codec.refuse(as_status(INTERNAL))


async def _send(exchange: Exchange, reply: Reply, headers: Sequence[tuple[str, str]]) -> None:
    lines = [("content-type", reply.content_type), *reply.headers, *headers]
    await exchange.respond(reply.status, lines, reply.content)
