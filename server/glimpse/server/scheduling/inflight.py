"""Counts the work in flight, so that a shutdown waits for it and its memory has a limit."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from glimpse.server.auth.caller import fairness_key
from glimpse.server.errors import Code, Queue, RequestError, exhausted, queue_full

_RETRY_SECONDS = 1.0
# Limit of open streams per caller. Each stream has tasks of its own, however few messages it carries.
_MAX_STREAMS = 500


class InflightLimiter:
    """Counts running calls and stream inputs, and their bytes. Accepts no more work once the server stops."""

    def __init__(self, max_bytes: float = math.inf) -> None:
        """Limits the bytes of the requests and responses that the server holds, together.

        At the limit a caller is refused only if it would hold more than its fair share, so that one caller cannot use
        all memory while others wait.
        """
        self._max_bytes = max_bytes
        #: Number of calls and stream inputs that are being answered.
        self.running = 0
        #: Bytes of requests and responses that all callers hold.
        self.held = 0
        self._idle = asyncio.Event()
        self._idle.set()
        #: Whether every backbone is warm.
        self.ready = False
        self._freed = asyncio.Event()
        self._bytes: Counter[str] = Counter()  # by caller
        self._streams: Counter[str] = Counter()  # by caller
        #: Set once the server accepts no more work.
        self.stopping = asyncio.Event()

    @property
    def streams(self) -> int:
        """Number of open streams of all callers."""
        return self._streams.total()

    def check(self, size: int) -> None:
        """Checks whether memory has room for a call of `size` bytes. Raises RequestError RESOURCE_EXHAUSTED."""
        if not self.held or self.held + size <= self._max_bytes:
            return
        caller = fairness_key.get()
        if self._bytes.get(caller, 0) + size > self._fair_share(caller):
            message = f"calls hold {self.held} bytes of requests and responses; retry later"
            raise queue_full(Queue.MEMORY, message, _RETRY_SECONDS)

    async def wait_for_room(self) -> None:
        """Waits until memory has room for another message of a stream; the sender is held back until then.

        A caller that holds less than its fair share does not wait for those that hold more.
        """
        caller = fairness_key.get()
        while self.held >= self._max_bytes and self._bytes.get(caller, 0) >= self._fair_share(caller):
            self._freed.clear()
            await self._freed.wait()

    def _fair_share(self, caller: str) -> float:
        """Bytes that a caller may hold when memory is full."""
        return self._max_bytes / (len(self._bytes) + (caller not in self._bytes))

    @contextmanager
    def track_call(self, size: int, *, at_the_end: bool = False) -> Iterator[None]:
        """Counts a call, or one message of a stream, while it is being answered.

        Args:
            size: Bytes of the message.
            at_the_end: Whether the call is answered while the server stops, too.

        Raises:
            RequestError: UNAVAILABLE; the server is stopping.
        """
        if self.stopping.is_set() and not at_the_end:
            raise stopping()
        caller = fairness_key.get()
        self._count(caller, 1, size)
        try:
            yield
        finally:
            self._count(caller, -1, -size)

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Counts a stream while it is open.

        Raises:
            RequestError: UNAVAILABLE while stopping; RESOURCE_EXHAUSTED if the caller has too many open streams.
        """
        if self.stopping.is_set():
            raise stopping()
        caller = fairness_key.get()
        if self._streams[caller] >= _MAX_STREAMS:
            message = f"this caller has {_MAX_STREAMS} open streams, the limit; close one, or send more over each"
            raise exhausted("TOO_MANY_STREAMS", message, _RETRY_SECONDS)
        self._streams[caller] += 1
        try:
            yield
        finally:
            self._streams[caller] -= 1
            if not self._streams[caller]:
                del self._streams[caller]

    @contextmanager
    def track_retained(self, size: int) -> Iterator[None]:
        """Counts bytes that an open stream keeps, whether or not a message is being answered."""
        caller = fairness_key.get()
        self._count(caller, 0, size)
        try:
            yield
        finally:
            self._count(caller, 0, -size)

    def hold(self, size: int) -> Callable[[], None]:
        """Counts bytes of the current caller that stay after its call; returns the function that ends it."""
        caller = fairness_key.get()
        self._count(caller, 0, size)
        return lambda: self._count(caller, 0, -size)

    def track_response(self, context: Any, size: int, *, refusable: bool) -> None:
        """Counts a call's response until it is sent or the caller is gone.

        Args:
            context: The call's gRPC context.
            size: Bytes of the response.
            refusable: Whether the response may be refused. That of a write may not: the write is done.

        Raises:
            RequestError: RESOURCE_EXHAUSTED, as in `check`.
        """
        if refusable:
            self.check(size)
        caller = fairness_key.get()
        self._count(caller, 0, size)
        context.add_done_callback(lambda _: self._count(caller, 0, -size))

    @contextmanager
    def track_responses(self) -> Iterator[Callable[[int], None]]:
        """Counts the responses of a stream; yields a function that adds bytes, negative ones when they are sent."""
        caller, total = fairness_key.get(), 0

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
        """Accepts no more work, and waits at most `seconds` for the work in flight."""
        self.stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()


def stopping() -> RequestError:
    """Returns the error for callers of a server that is stopping."""
    message = "server is stopping; retry on another server, or later"
    return RequestError(Code.UNAVAILABLE, "STOPPING", message, retry_delay=_RETRY_SECONDS)
