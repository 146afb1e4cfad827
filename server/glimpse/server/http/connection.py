"""A connection of the HTTP listener: uvicorn's, with limits of time and number.

Uvicorn parses HTTP and controls the flow of bodies. It has no limit for the time of a request's head or of a response,
and none for the number of connections that keeps room for new ones.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

#: Time for the head of a request, from the connection's start or from the first byte after the last response.
HEAD_SECONDS = 10.0
#: Time until a connection without a request is closed.
IDLE_SECONDS = 75
#: Most bytes of a head. Uvicorn checks it while a head is incomplete, the application when it is complete.
MAX_HEAD_BYTES = 16 << 10
#: Open connections. Past it the oldest one that waits for a request is closed.
MAX_CONNECTIONS = 512


class Connections:
    """The open connections of a listener, in the order in which they began to wait for a request."""

    def __init__(self) -> None:
        self._waiting: dict[Connection, None] = {}
        self._answering: set[Connection] = set()

    def wait(self, connection: "Connection") -> None:
        """Notes that a connection waits for a request. A new one may cost the oldest waiting one."""
        self._answering.discard(connection)
        self._waiting[connection] = None
        if len(self._waiting) + len(self._answering) > MAX_CONNECTIONS:
            next(iter(self._waiting)).abort()

    def answer(self, connection: "Connection") -> None:
        """Notes that a connection has a request."""
        self._waiting.pop(connection, None)
        self._answering.add(connection)

    def remove(self, connection: "Connection") -> None:
        """Forgets a connection."""
        self._waiting.pop(connection, None)
        self._answering.discard(connection)


class Connection(H11Protocol):
    """One connection. The application reaches it as `scope["state"]["connection"]`."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Belongs to `connections`; the other parameters are uvicorn's."""
        super().__init__(config, server_state, {"connection": self}, loop)
        self._connections = connections
        self._head_timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._lost = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        """Starts the time for the first head."""
        super().connection_made(transport)
        # The writer then waits until every byte is sent, and the bytes of a response count until then. With a limit of
        # 0 TLS would pause the writer for an empty buffer.
        transport.set_write_buffer_limits(high=1, low=0)
        self._start_head_timer()
        self._connections.wait(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the timer."""
        self._stop_head_timer()
        self._connections.remove(self)
        super().connection_lost(exc)
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        """Starts the time for the next head with its first byte."""
        if not self._busy and self._head_timer is None:
            self._start_head_timer()
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Answers bytes that are no HTTP. If a request is being answered, the connection is closed instead."""
        # Uvicorn would send a second response, and log a traceback when the first one fails.
        if self.cycle is not None and not self.cycle.response_complete:
            self.abort()
        else:
            super().send_400_response(msg)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Marks the connection as busy with a request, whose body has limits of its own."""
        self._stop_head_timer()
        self._busy = True
        self._connections.answer(self)
        try:
            yield
        finally:
            self._busy = False
            if not self.transport.is_closing():
                self._connections.wait(self)

    def abort(self) -> None:
        """Closes the connection at once, without sending what is left."""
        self.transport.abort()

    async def end(self) -> None:
        """Closes the connection as `abort` does, and waits until it is closed."""
        self.abort()
        await self._lost.wait()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None
