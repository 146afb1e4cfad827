"""How long calls wait before anybody looks at them, and who is sent away while that is long.

Calls that gRPC has received stand in a queue of its own until the event loop takes them, one at a time. Where the loop
itself is what is busy (a small backbone, vectors), that queue grows, and nothing in this process sees it: gRPC lets it
grow to thousands, then cancels calls without a reason. So while calls come, one of the server's own stands in the same
queue, over a socket in a folder that only this user may enter. What it waits is what all wait, and as many calls as are
taken meanwhile stood before it. All methods have to share that queue: see `SharedQueueServer`.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from typing import Any

import grpc

from glimpse.backbone import scratch_folder
from glimpse.server.auth.caller import current
from glimpse.server.errors import Queue, queue_full
from glimpse.server.scheduling.admission import RetryScheduler

logger = logging.getLogger(__name__)
#: The method that the server calls of itself; it does nothing, for whoever calls it.
PROBE = "/glimpse.Door/Stand"
# A queue of fewer calls, or of less time, is none: callers who wait for each answer make it that long. From there to
# three times as long, more and more are refused: were it all at once, the backbone would run dry again and again.
_FEW, _SECONDS = 100, 0.05
# Who asks for less than this part of what callers ask for in the mean is refused only from so many seconds on: together
# such callers ask for less than half.
_MODEST, _MODEST_SECONDS = 0.5, 1.0
# A refusal takes time as well, and whoever is refused comes back: were all refused, there would soon be time for
# nothing else. Not so of who asks for that much more than the mean: others have that time.
_GREEDY, _MOST_REFUSED = 1.5, 0.9
# Between two probes.
_PAUSE = 0.02
# The probe's connection: without calls for long either side closes it, and its socket's file may be gone by then. So
# its client never does, and a probe is sent where none was for so long.
_QUIET_SECONDS = 600.0
_STAYS = [("grpc.client_idle_timeout_ms", (1 << 31) - 1)]
# A probe that is not back by then is lost, and says nothing; nor does the next one as long as it is away.
_LOST_SECONDS = 10.0
# Over so many calls shares are counted.
_REMEMBERED = 1_000


class LoadShedder:
    """Where every call passes when it is taken from gRPC's queue. Lives on one event loop."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`longest`: the longest time that a caller is told to stay away."""
        self._clock = clock
        self._promises = RetryScheduler(longest, clock)
        self._came = asyncio.Event()
        self._sent: float | None = None
        self._lost = False  # whether the last probe was
        self._passed = 0  # calls since the probe was sent
        self._found = (0, 0.0, 0.0)  # by the last one: calls before it, seconds, and when
        self._since = 0  # calls since then
        self._let_in, self._each = 0, 0.0  # of the calls passed, and seconds for each of those
        self._recent: Counter[str] = Counter()

    def enter(self) -> None:
        """A call is taken. Raises RequestError RESOURCE_EXHAUSTED for some where too many stand behind it."""
        self._passed += 1
        self._since += 1
        self._came.set()
        caller = current().turn
        self._count(caller)
        self._check(caller)
        self._let_in += 1

    def _check(self, caller: str) -> None:
        queued, seconds = self._queue()
        if queued < _FEW or seconds < _SECONDS:
            return
        share = self._recent[caller] * len(self._recent) / max(1, self._recent.total())
        if share < _MODEST and seconds < _MODEST_SECONDS:
            return
        most = 1.0 if share > _GREEDY else _MOST_REFUSED
        if random.random() < min(most, 0.5 * (seconds / _SECONDS - 1)):
            delay = self._promises.next(seconds, self._each)
            raise queue_full(Queue.CALLS, f"{queued} calls are waiting; send this one again later", delay)

    @asynccontextmanager
    async def watched(self, server: grpc.aio.Server) -> AsyncIterator[None]:
        """Probes the queue of a server, from before it starts."""
        with ExitStack() as stack:
            try:
                folder = stack.enter_context(scratch_folder())
            except OSError as error:
                logger.warning("no folder for temporary files, so calls in gRPC's own queue are not seen: %s", error)
                yield
                return
            address = f"unix:{folder / 'door'}"
            try:
                server.add_insecure_port(address)
            except RuntimeError:  # the path of a socket has at most 107 bytes
                logger.warning("%s is too long for a socket, so calls in gRPC's own queue are not seen", folder)
                yield
                return
            handler = grpc.stream_unary_rpc_method_handler(_nothing)
            service, method = PROBE[1:].split("/")
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
            async with grpc.aio.insecure_channel(address, _STAYS) as channel:
                prober = asyncio.create_task(self._probe(channel.unary_unary(PROBE, bytes, bytes)))
                try:
                    yield
                finally:
                    prober.cancel()
                    await asyncio.gather(prober, return_exceptions=True)

    def found(self, calls: int, seconds: float, let_in: int) -> None:
        """So many calls stood before a probe, which waited so long; so many of them were let in."""
        self._found, self._since = (calls, seconds, self._clock()), 0
        self._each = seconds / max(1, let_in)

    def _queue(self) -> tuple[int, float]:
        """Calls, and seconds of waiting."""
        calls, seconds, at = self._found
        now = self._clock()
        # Behind the last probe stand about as many as stood before it. A long queue makes the next one late: until it
        # is back, or those are taken, the queue must not pass for a short one.
        if self._since >= calls or now - at > seconds:
            calls, seconds = 0, 0.0
        if self._sent is not None and not self._lost and now - self._sent > seconds:
            return self._passed, now - self._sent
        return calls, seconds

    def _count(self, caller: str) -> None:
        self._recent[caller] += 1
        if self._recent.total() > _REMEMBERED:
            self._recent = Counter({name: count // 2 for name, count in self._recent.items() if count > 1})

    async def _probe(self, stand: Any) -> None:
        while True:
            if self._found[1] < _SECONDS:  # else what is found next says that it is over
                with suppress(TimeoutError):
                    async with asyncio.timeout(_QUIET_SECONDS):
                        await self._came.wait()
            self._came.clear()
            self._sent, self._passed, self._let_in = self._clock(), 0, 0
            lost = False
            try:
                await stand(b"", wait_for_ready=True, timeout=_LOST_SECONDS)
            except grpc.aio.AioRpcError as error:  # whatever it is answered, it was taken
                lost = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            if not lost:
                self.found(self._passed, self._clock() - self._sent, self._let_in)
            elif not self._lost:
                logger.warning("how long calls wait in gRPC's own queue is not known: the server cannot call itself")
            self._sent, self._lost = None, lost
            await asyncio.sleep(_PAUSE)


async def _nothing(_requests: object, _context: object) -> bytes:
    # No message is read: others may call it as well.
    return b""


class SharedQueueServer:
    """Stands for a server where services are added to it: their methods get no queues of their own."""

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        """As the server's own."""
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(self, *_: object) -> None:
        """Would make a queue for each."""
