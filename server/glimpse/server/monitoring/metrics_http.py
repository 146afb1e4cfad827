"""The metrics endpoint for Prometheus: `GET /metrics` over plain HTTP.

It runs in a thread with an event loop of its own, so it answers while the server's event loop is busy. One thread
serves all connections. A slow connection is closed after some seconds, or as soon as too many others are open.
"""

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from prometheus_client.exposition import choose_encoder

from glimpse.server.auth.listener import is_loopback
from glimpse.server.monitoring.collector import StateCollector
from glimpse.server.runtime import Runtime
from glimpse.server.settings import Settings, SettingsError
from glimpse.server.telemetry.metrics import registry

logger = logging.getLogger(__name__)
# Longest time of a connection in seconds, and most open connections.
_SECONDS, _MAX_CONNECTIONS = 10.0, 16
# Largest request in bytes, with its headers.
_MAX_BYTES = 16 << 10


@contextmanager
def serve_metrics(settings: Settings, runtime: Runtime) -> Iterator[None]:
    """Serves the metrics at `metrics_listen` while the context is open.

    Raises:
        SettingsError: The address can be reached from other machines, and `metrics_insecure` is not set.
        OSError: The address is unavailable.
    """
    listen = settings.metrics_listen
    if not listen:
        yield
        return
    if not settings.metrics_insecure and not is_loopback(listen):
        raise SettingsError(
            f"metrics on {listen} would expose collections' names and figures to the network, in plain text; set "
            "metrics_insecure (GLIMPSE_METRICS_INSECURE=1) if only Prometheus can reach it, or listen on 127.0.0.1"
        )
    listening = _bind(listen)
    registry.register(StateCollector(runtime))
    logger.info("metrics at http://%s:%d/metrics", listen.rpartition(":")[0], listening.getsockname()[1])
    server = _Server(listening)
    try:
        yield
    finally:
        server.stop()


def _bind(listen: str) -> socket.socket:
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdecimal():
        raise OSError(f"metrics_listen: {listen!r} is not HOST:PORT")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family)
    except (OSError, OverflowError) as error:
        raise OSError(f"cannot listen on {listen} for metrics: {error}") from error


class _Server:
    """Answers one request per connection, in a thread of its own, until it is stopped."""

    def __init__(self, listening: socket.socket) -> None:
        self._loop, self._stopped = asyncio.new_event_loop(), asyncio.Event()
        self._open: dict[asyncio.Task[None] | None, None] = {}  # the oldest first
        self._thread = Thread(target=self._loop.run_until_complete, args=(self._serve(listening),), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread and waits for its end."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_server(self._answer, sock=listening, limit=_MAX_BYTES)
        await self._stopped.wait()
        server.close()
        for task in filter(None, self._open):
            task.cancel()
        await asyncio.sleep(0)  # lets the tasks end

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[task := asyncio.current_task()] = None
        if len(self._open) > _MAX_CONNECTIONS and (oldest := next(iter(self._open))):
            oldest.cancel()
        writer.transport.set_write_buffer_limits(0)  # so that drain() waits until all is sent
        try:
            async with asyncio.timeout(_SECONDS):
                writer.write(_response(await reader.readuntil(b"\r\n\r\n")))
                await writer.drain()
            writer.close()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            del self._open[task]


def _response(head: bytes) -> bytes:
    """Returns the response to a request's first line and headers."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, target = first.partition(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status, kind, body = "404 Not Found", "text/plain", b""
    if method != "GET":
        status = "405 Method Not Allowed"
    elif target.partition(" ")[0].partition("?")[0] == "/metrics":
        encode, kind = choose_encoder(headers.get("accept", ""))
        status, body = "200 OK", encode(registry)
    head_lines = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head_lines.encode() + body
