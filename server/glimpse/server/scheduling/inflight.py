"""What the server is working on: so that a drain waits for work and for nothing else, and memory has a bound."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from glimpse.server.auth.caller import current
from glimpse.server.errors import Code, Queue, RequestError, exhausted, queue_full

_COME_BACK_SECONDS = 1.0
# Of one caller, open at once: each has tasks of its own, however little comes by it.
_MOST_STREAMS = 500


class InflightLimiter:
    """Counts running calls and stream inputs, and their bytes; once stopping, takes no more.

    `most_bytes`: of requests that are being answered and of answers that are being sent, together. Where they are too
    many, a caller that would have more than its part is refused, so that one does not have all when another comes.
    """

    def __init__(self, most_bytes: float = math.inf) -> None:
        self._most_bytes = most_bytes
        #: Calls and stream inputs, and their bytes.
        self.running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        #: Whether every backbone is warm.
        self.ready = False
        self._freed = asyncio.Event()
        self._bytes: Counter[str] = Counter()  # by caller
        self._streams: Counter[str] = Counter()  # likewise
        self.held = 0
        #: Set when no more work is taken.
        self.stopping = asyncio.Event()

    @property
    def streams(self) -> int:
        """Those that are open, of all callers."""
        return self._streams.total()

    def check(self, size: int) -> None:
        """Of a call, before it is begun. Raises RequestError RESOURCE_EXHAUSTED where memory has no room for it."""
        if not self.held or self.held + size <= self._most_bytes:
            return
        caller = current().turn
        if self._bytes.get(caller, 0) + size > self._part(caller):
            told = f"calls hold {self.held} bytes of requests and answers; send this one again later"
            raise queue_full(Queue.MEMORY, told, _COME_BACK_SECONDS)

    async def room(self) -> None:
        """Waits until there is room for more; for streams, whose sender is held back so.

        A caller that holds less than its part does not wait for those that hold more.
        """
        caller = current().turn
        while self.held >= self._most_bytes and self._bytes.get(caller, 0) >= self._part(caller):
            self._freed.clear()
            await self._freed.wait()

    def _part(self, caller: str) -> float:
        """A caller's fair share of the bytes that may be held."""
        return self._most_bytes / (len(self._bytes) + (caller not in self._bytes))

    @contextmanager
    def of(self, size: int, *, at_the_end: bool = False) -> Iterator[None]:
        """One call, or one message of a stream.

        Raises RequestError UNAVAILABLE while stopping, but of what is answered `at_the_end` too.
        """
        if self.stopping.is_set() and not at_the_end:
            raise stopping()
        caller = current().turn
        self._count(caller, 1, size)
        try:
            yield
        finally:
            self._count(caller, -1, -size)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """One that is open. Raises RequestError UNAVAILABLE while stopping, RESOURCE_EXHAUSTED past a caller's most."""
        if self.stopping.is_set():
            raise stopping()
        caller = current().turn
        if self._streams[caller] >= _MOST_STREAMS:
            told = f"{_MOST_STREAMS} streams of this caller are open; close one, or send more by each"
            raise exhausted("TOO_MANY_STREAMS", told, _COME_BACK_SECONDS)
        self._streams[caller] += 1
        try:
            yield
        finally:
            self._streams[caller] -= 1
            if not self._streams[caller]:
                del self._streams[caller]

    @contextmanager
    def keeping(self, size: int) -> Iterator[None]:
        """Bytes that a stream keeps while it is open, whether anything is worked on or not."""
        caller = current().turn
        self._count(caller, 0, size)
        try:
            yield
        finally:
            self._count(caller, 0, -size)

    def send(self, context: Any, size: int, *, refusable: bool) -> None:
        """Counts a call's answer until it is sent, or the caller has left.

        Raises RequestError RESOURCE_EXHAUSTED as `check`, where the answer is `refusable`: that of a write is not.
        """
        if refusable:
            self.check(size)
        caller = current().turn
        self._count(caller, 0, size)
        context.add_done_callback(lambda _: self._count(caller, 0, -size))

    @contextmanager
    def unsent(self) -> Iterator[Callable[[int], None]]:
        """Counts the answers of a stream; yields a function that takes the bytes made (or, negative, sent)."""
        caller, total = current().turn, 0

        def add(size: int) -> None:
            nonlocal total
            total += size
            self._count(caller, 0, size)

        try:
            yield add
        finally:
            self._count(caller, 0, -total)

    def _count(self, caller: str, calls: int, size: int) -> None:
        self.running += calls
        self.held += size
        self._bytes[caller] += size
        if not self._bytes[caller]:
            del self._bytes[caller]
        if self.running:
            self._idle.clear()
        else:
            self._idle.set()
        if size < 0:
            self._freed.set()

    async def stop(self, seconds: float) -> None:
        """Takes no more work, and waits at most so long for what is running."""
        self.stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()


def stopping() -> RequestError:
    """What callers are told meanwhile."""
    message = "this server is stopping; send the call to another, or again later"
    return RequestError(Code.UNAVAILABLE, "STOPPING", message, retry_delay=_COME_BACK_SECONDS)
