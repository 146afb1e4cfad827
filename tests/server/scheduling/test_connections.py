"""Connections that are half open, idle, or quiet: the options of `glimpse serve`, with shorter times."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from glimpse.server.scheduling.grpc_options import server_options
from glimpse.server.settings import load_settings

OPTIONS = dict(server_options(load_settings()))
PINGS = {"keepalive_time_ms": 1_000, "keepalive_timeout_ms": 500, "http2_ping_timeout_ms": 500}


class Relay:
    """Forwards bytes between a client and a server; while frozen, it forwards nothing and closes no connection."""

    def __init__(self, port: int) -> None:
        self.frozen, self.connections, self._port = False, 0, port
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, there[1]]
        self._tasks += [
            asyncio.create_task(self._forward(reader, there[1])),
            asyncio.create_task(self._forward(there[0], writer)),
        ]

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if not self.frozen:
                writer.write(data)
        if not self.frozen:
            writer.close()


class Streams:
    """Counts the open streams of a server."""

    def __init__(self) -> None:
        self.open = 0

    async def answer(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            async for request in requests:
                yield request
        finally:
            self.open -= 1


@asynccontextmanager
async def relayed(**times: int) -> AsyncIterator[tuple[Streams, Relay, Any]]:
    streams = Streams()
    options = OPTIONS | {f"grpc.{name.replace('http2_', 'http2.')}": value for name, value in times.items()}
    server = grpc.aio.server(options=list(options.items()))
    handler = grpc.stream_stream_rpc_method_handler(streams.answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Echo": handler}),))
    relay = Relay(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    try:
        async with grpc.aio.insecure_channel(await relay.start()) as channel:
            yield streams, relay, channel.stream_stream("/test/Echo", None, None)
    finally:
        await server.stop(0)
        await relay.stop()


async def until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


async def echoed(call: Any, content: bytes) -> None:
    await call.write(content)
    assert await asyncio.wait_for(call.read(), 5) == content


async def test_a_half_open_connection_is_noticed_and_its_streams_end() -> None:
    async with relayed(**PINGS) as (streams, relay, echo):
        call = echo()
        await echoed(call, b"a")
        relay.frozen = True
        await asyncio.sleep(0.5)
        assert streams.open == 1
        await until(lambda: not streams.open, 5)


async def test_a_quiet_stream_of_a_client_that_is_there_stays() -> None:
    async with relayed(**PINGS, max_connection_idle_ms=1_000) as (streams, relay, echo):
        call = echo()
        await echoed(call, b"a")
        await asyncio.sleep(3.6)  # by default gRPC would send no third ping without data
        await echoed(call, b"b")
        assert (streams.open, relay.connections) == (1, 1)


async def test_a_connection_without_calls_is_closed_and_the_channel_opens_another() -> None:
    async with relayed(max_connection_idle_ms=500) as (streams, relay, echo):
        for connections in (1, 2):
            call: Awaitable[Any] = echo()
            await echoed(call, b"a")
            assert relay.connections == connections
            await call.done_writing()  # type: ignore[attr-defined]
            assert await call.read() is grpc.aio.EOF  # type: ignore[attr-defined]
            await asyncio.sleep(1.2)
        assert streams.open == 0


def test_a_dead_peer_is_noticed_in_two_minutes_at_most() -> None:
    assert OPTIONS["grpc.keepalive_time_ms"] + OPTIONS["grpc.http2.ping_timeout_ms"] <= 120_000
