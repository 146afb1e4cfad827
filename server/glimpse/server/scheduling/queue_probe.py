"""Measures how long calls wait in gRPC's own queue: the server calls itself and waits in the same queue.

The probe's connection is a socket in a folder that only the server's user may enter. The probe waits as long as every
other call, and the calls that are taken during that time were ahead of it. This needs one queue for all methods: see
`SharedQueueServer`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import grpc

from glimpse.files.scratch import scratch_folder
from glimpse.server.scheduling.load_shedder import LoadShedder

logger = logging.getLogger(__name__)
#: The method that the server calls on itself. It does nothing, for other callers too.
PROBE = "/glimpse.QueueProbe/Probe"
_PAUSE_SECONDS = 0.02  # between two probes
# Without calls for long, each side closes the connection, and the socket's file may be gone by then. So the client
# never closes it, and sends a probe after this many seconds without one.
_QUIET_SECONDS = 600.0
_NEVER_IDLE = [("grpc.client_idle_timeout_ms", (1 << 31) - 1)]
# A probe that takes longer is lost, and says nothing about the queue.
_LOST_SECONDS = 10.0


class QueueProbe:
    """Sends probes while calls arrive, and reports them to the load shedder."""

    def __init__(self, load_shedder: LoadShedder) -> None:
        self._load_shedder = load_shedder

    @asynccontextmanager
    async def attach(self, server: grpc.aio.Server) -> AsyncIterator[None]:
        """Probes the queue of a server. Enter it before the server starts."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(scratch_folder())
            except OSError as error:
                logger.warning("no folder for temporary files, so gRPC's own queue is not measured: %s", error)
                yield
                return
            address = f"unix:{folder / 'probe'}"
            try:
                server.add_insecure_port(address)
            except RuntimeError:  # the path of a socket has at most 107 bytes
                logger.warning("%s is too long for a socket, so gRPC's own queue is not measured", folder)
                yield
                return
            handler = grpc.stream_unary_rpc_method_handler(_answer_probe)
            service, method = PROBE[1:].split("/")
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
            async with grpc.aio.insecure_channel(address, _NEVER_IDLE) as channel:
                prober = asyncio.create_task(self.run(channel.unary_unary(PROBE, bytes, bytes)))
                try:
                    yield
                finally:
                    prober.cancel()
                    await asyncio.gather(prober, return_exceptions=True)

    async def run(self, call: Any) -> None:
        """Sends one probe after the other, until it is cancelled. `call` makes the call of the probe."""
        shedder, last_lost = self._load_shedder, False
        while True:
            if not shedder.overloaded:  # otherwise the next probe finds out when the overload ends
                with suppress(TimeoutError):
                    async with asyncio.timeout(_QUIET_SECONDS):
                        await shedder.arrived.wait()
            shedder.arrived.clear()
            shedder.begin_probe()
            lost = False
            try:
                await call(b"", wait_for_ready=True, timeout=_LOST_SECONDS)
            except grpc.aio.AioRpcError as error:  # every other status means that the probe was taken from the queue
                lost = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            shedder.end_probe(lost=lost)
            if lost and not last_lost:
                logger.warning("the server cannot call itself, so the wait in gRPC's own queue is unknown")
            last_lost = lost
            await asyncio.sleep(_PAUSE_SECONDS)


async def _answer_probe(_requests: object, _context: object) -> bytes:
    # Reads no message, because other callers can call this method too.
    return b""


class SharedQueueServer:
    """A server to which services are added without queues of their own for their methods."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """Adds handlers to the server."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, *_: object) -> None:
        """Does nothing: a registered method would get a queue of its own."""
