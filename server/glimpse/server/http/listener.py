"""The HTTP listener: a thread with an event loop of its own, beside the server's.

HTTP, JSON and the reading of bodies happen in this thread. The calls themselves run on the server's event loop.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from threading import Thread

import uvloop
from uvicorn import Config
from uvicorn.server import ServerState

from glimpse.server.auth.listener import tls_certificates
from glimpse.server.http.application import Application
from glimpse.server.http.calls import HttpCalls
from glimpse.server.http.connection import IDLE_SECONDS, MAX_HEAD_BYTES, Connection, Connections
from glimpse.server.runtime import Runtime

# As the gRPC listener: see scheduling/grpc_options.py.
_HANDSHAKE_SECONDS = 20.0
_BACKLOG = 128
# Time for tasks to end after their connections are closed.
_END_SECONDS = 1.0


class HttpListener:
    """Listens until it is stopped. `url` names the address, for example `http://127.0.0.1:8080`."""

    def __init__(
        self, listening: socket.socket, url: str, application: Application, tls: ssl.SSLContext | None
    ) -> None:
        """Starts the thread, which answers with `application`."""
        self.url, self._application, self._tls = url, application, tls
        # Uvicorn logs warnings that any caller can cause; the calls have the server's own log.
        self._config = Config(
            application,
            log_config=None,
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=IDLE_SECONDS,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )
        self._state, self._stopped = ServerState(), asyncio.Event()
        self._loop = uvloop.new_event_loop()
        self._seconds = 0.0
        self._thread = Thread(target=self._loop.run_until_complete, args=(self._serve(listening),), name="http")
        self._thread.daemon = True
        self._thread.start()

    async def stop(self, seconds: float) -> None:
        """Closes the listener, and gives running responses `seconds` to end."""
        if self._thread.is_alive():
            self._seconds = seconds
            self._loop.call_soon_threadsafe(self._stopped.set)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()

    async def _serve(self, listening: socket.socket) -> None:
        self._config.load()
        make = partial(Connection, Connections(), self._config, self._state, self._loop)
        handshake = _HANDSHAKE_SECONDS if self._tls else None
        server = await self._loop.create_server(
            make, sock=listening, ssl=self._tls, backlog=_BACKLOG, ssl_handshake_timeout=handshake
        )
        await self._stopped.wait()
        server.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=self._seconds)
        for connection in list(self._state.connections):
            connection.transport.abort()
        for task in self._state.tasks:
            task.cancel()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=_END_SECONDS)
        self._application.close()


@asynccontextmanager
async def open_http(runtime: Runtime, address: str, calls: HttpCalls) -> AsyncIterator[HttpListener]:
    """Listens at `address`, HOST:PORT, while the context is open.

    Raises:
        SettingsError: A setting is wrong.
        OSError: The address is unavailable.
    """
    settings = runtime.settings
    certificates = tls_certificates(settings, address)
    tls = certificates.ssl_context() if certificates else None
    application = Application(
        calls,
        runtime.inflight,
        asyncio.get_running_loop(),
        max_body=settings.max_message_bytes,
        origins=settings.http_origins,
    )
    listening = _bind(address)
    host, port = address.rpartition(":")[0], listening.getsockname()[1]
    listener = HttpListener(listening, f"{'https' if tls else 'http'}://{host}:{port}", application, tls)
    try:
        yield listener
    finally:
        await listener.stop(0)


def _bind(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise OSError(f"cannot listen on {address} for HTTP: {error}; try --http {host}:0") from error
