"""Limits the messages that are read at the same time, and ends the slow ones when other calls wait."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from glimpse.server.errors import Code, Queue, RequestError, queue_full
from glimpse.server.memory_allocator import Trimmer
from glimpse.server.scheduling.fair_queue import GroupedFairQueue

T = TypeVar("T")
#: Longest time to read a message while other calls wait, and longest wait of such a call.
WAIT_SECONDS = 5.0
# A message that has arrived is read within a millisecond. A message that takes longer than this is slow: while other
# calls wait, slow messages may use half of the reads.
_SLOW_SECONDS = 0.25
_POLL_SECONDS, _RETRY_SECONDS = 0.05, 1.0


class _Read:
    """A message that is being read."""

    __slots__ = ("began", "group", "limit", "refusal")

    def __init__(self, group: str, limit: asyncio.Timeout) -> None:
        self.group, self.limit, self.began = group, limit, time.monotonic()
        self.refusal: RequestError | None = None

    def end(self, refusal: RequestError) -> None:
        """Refuses the call whose message this is."""
        if self.refusal is None and not self.limit.expired():  # an expired timeout cannot be rescheduled
            self.refusal = refusal
            self.limit.reschedule(asyncio.get_running_loop().time())


class _Waiter:
    """A call whose message waits to be read."""

    __slots__ = ("admitted", "began")

    def __init__(self) -> None:
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.began = time.monotonic()


class InboundLimiter:
    """Reads a limited number of messages at once. Other calls wait in turn, unread. Lives on one event loop."""

    def __init__(self, reads: int, *, max_calls: int, seconds: float, max_of_caller: int | None = None) -> None:
        """Sets the limits.

        Args:
            reads: Messages that are read at the same time.
            max_calls: Most calls that are read or wait, in total.
            seconds: Longest time to read a message.
            max_of_caller: Most calls of one caller that are read or wait; `max_calls` by default.
        """
        self._free, self._half = reads, reads // 2
        self._max_calls, self._max_of_caller, self._seconds = max_calls, max_of_caller or max_calls, seconds
        self._of_caller: Counter[str] = Counter()
        self._of_group: Counter[str] = Counter()
        self._total = 0
        self._reads: dict[_Read, None] = {}  # the oldest first
        # One timer for all reads, set for the oldest: a message that is complete within the limit needs none.
        self._expiry: asyncio.TimerHandle | None = None
        self._waiting: GroupedFairQueue[_Waiter] = GroupedFairQueue()
        self._watcher: asyncio.Task[None] | None = None
        self._trimmer = Trimmer()

    async def receive(self, caller: str, read: Callable[[], Awaitable[T]], *, group: str | None = None) -> T:
        """Returns the result of `read`.

        Args:
            caller: The caller's fairness key.
            read: Reads the message.
            group: The caller's group; by default the caller is a group of its own. Groups are served in turn, and so
                are the callers of a group.

        Raises:
            RequestError: There is no room for the message, or it takes too long.
        """
        group = caller if group is None else group
        self._enter(group, caller)
        try:
            if self._free:
                self._free -= 1
            else:
                await self._wait(group, caller)
            return await self._read(group, read)
        finally:
            self._total -= 1
            for counter, name in ((self._of_caller, caller), (self._of_group, group)):
                counter[name] -= 1
                if not counter[name]:
                    del counter[name]

    def _enter(self, group: str, caller: str) -> None:
        if self._of_caller[caller] >= self._max_of_caller:
            raise _too_many(f"this connection has {self._max_of_caller} unfinished calls, the limit")
        if self._total >= self._max_calls:
            self._make_room(group, caller)
        self._total += 1
        self._of_caller[caller] += 1
        self._of_group[group] += 1

    def _make_room(self, group: str, caller: str) -> None:
        """Refuses the newest waiting call of the largest group, or of this group's largest caller.

        Raises RequestError if that is the new call itself.
        """
        refusal = _too_many(f"{self._total} calls are unfinished")
        largest, waiting = self._waiting.largest()
        if waiting <= self._of_group[group] + 1:
            largest = group
            if self._waiting.longest(group) <= self._of_caller[caller] + 1:
                raise refusal
        waiter = self._waiting.evict(largest)
        if not waiter.admitted.done():
            waiter.admitted.set_exception(refusal)

    async def _read(self, group: str, read: Callable[[], Awaitable[T]]) -> T:
        limit = asyncio.timeout(None)  # `_Read.end` makes it expire
        this = _Read(group, limit)
        self._reads[this] = None
        if self._expiry is None:
            self._expiry = asyncio.get_running_loop().call_later(self._seconds, self._end_expired)
        try:
            async with limit:
                return await read()
        except BaseException as error:
            # The part of the message that arrived is freed with its call, but into the heaps of several threads.
            self._trimmer.ask()
            if isinstance(error, TimeoutError):
                raise this.refusal or _too_slow(self._seconds) from None
            raise
        finally:
            del self._reads[this]
            self._pass_on()

    def _end_expired(self) -> None:
        """Ends the reads that take too long, and sets the timer for the oldest of the others."""
        now, self._expiry = time.monotonic(), None
        for read in self._reads:
            left = read.began + self._seconds - now
            if left > 0:
                self._expiry = asyncio.get_running_loop().call_later(left, self._end_expired)
                return
            read.end(_too_slow(self._seconds))

    async def _wait(self, group: str, caller: str) -> None:
        waiter = _Waiter()
        self._waiting.put(group, caller, waiter)
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await waiter.admitted
        except BaseException as error:
            if waiter.admitted.done() and not waiter.admitted.cancelled() and not waiter.admitted.exception():
                self._pass_on()  # the turn came, but the caller was cancelled in the same moment
            self._waiting.discard(group, caller, waiter)
            if isinstance(error, TimeoutError):
                raise _too_many("too many messages are arriving") from None
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            waiter = self._waiting.take()
            if not waiter.admitted.done():
                waiter.admitted.set_result(None)
                return
        self._free += 1

    async def _watch(self) -> None:
        """Ends slow messages while other calls have waited for long."""
        try:
            while self._waiting:
                await asyncio.sleep(_POLL_SECONDS)
                oldest = min((waiter.began for waiter in self._waiting), default=float("inf"))
                if time.monotonic() - oldest >= _SLOW_SECONDS:
                    self._end_slow()
        finally:
            self._watcher = None

    def _end_slow(self) -> None:
        now = time.monotonic()
        slow = [read for read in self._reads if now - read.began > _SLOW_SECONDS and read.refusal is None]
        for read in slow:
            if now - read.began > WAIT_SECONDS:
                read.end(_too_slow(WAIT_SECONDS))
        slow = [read for read in slow if read.refusal is None]
        held = Counter(read.group for read in slow)
        # End the newest message of the largest group: messages that began earlier are nearer to their end.
        for _ in range(len(slow) - self._half):
            [(group, _count)] = held.most_common(1)
            held[group] -= 1
            newest = next(read for read in reversed(slow) if read.group == group)
            slow.remove(newest)
            newest.end(_too_many("too many slow messages are arriving"))


def _too_many(problem: str) -> RequestError:
    return queue_full(Queue.MESSAGES, f"{problem}; retry later", _RETRY_SECONDS)


def _too_slow(seconds: float) -> RequestError:
    message = f"the message was not complete within {seconds:g} s; send fewer inputs per call"
    return RequestError(Code.DEADLINE_EXCEEDED, "MESSAGE_TIMEOUT", message)
