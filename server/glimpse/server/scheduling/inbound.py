"""Messages that are arriving: how many at once, of whom, and for how long.

gRPC says nothing of a message until it is whole, neither its size nor that it has begun. It takes more than a window of
it (transport.UNREAD_BYTES) only once somebody asks for it. So a message is asked for when there is room for the largest
one, and its sender has a limited time to finish it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc

from glimpse.server.auth.caller import connected, current
from glimpse.server.errors import Code, Queue, RequestError, invalid, queue_full
from glimpse.server.memory_allocator import Trimmer
from glimpse.server.scheduling.fair_queue import GroupTurns
from glimpse.server.scheduling.grpc_options import receive_limit
from glimpse.server.settings import Settings

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]
# A message that is here already is read in a millisecond. What takes longer than this is slow: while others wait, slow
# messages have no more than half of the room.
_SLOW_SECONDS = 0.25
# How long a message may take while others wait, and how long those wait; for strangers in any case.
_SECONDS = 5.0
# For callers that were admitted, while nobody waits: 32 MiB by a line of 5 Mbit/s.
_PATIENT_SECONDS = 60.0
# Calls without a key whose message is unfinished: of one connection, in all, and of these being read.
_MOST_OF_CONNECTION, _MOST_OF_STRANGERS, _READS_OF_STRANGERS = 8, 64, 4
# Calls of callers that were admitted: waiting in all, and being read where max_held_bytes is small.
_MOST_WAITING, _FEWEST_READS = 1_024, 4
_LOOK_SECONDS, _COME_BACK_SECONDS = 0.05, 1.0
# A call that its caller cancels has no message; word of the cancellation follows within this time.
_PARTING_SECONDS = 0.02


class Inbound:
    """Receives the message of a call: from callers that were admitted, and from strangers, who have their own room."""

    def __init__(self, settings: Settings) -> None:
        reads = max(_FEWEST_READS, settings.max_held_bytes // receive_limit(settings))
        self._callers = InboundLimiter(reads, most=reads + _MOST_WAITING, seconds=_PATIENT_SECONDS)
        self._strangers = InboundLimiter(
            _READS_OF_STRANGERS, most=_MOST_OF_STRANGERS, of_one=_MOST_OF_CONNECTION, seconds=_SECONDS
        )

    async def receive(self, context: Context) -> Any:
        """The message of a call that has one. Raises RequestError."""
        connected(context.peer())
        message = await self.next(context.read)
        if message is grpc.aio.EOF:  # type: ignore[attr-defined]  # not in its stubs
            await asyncio.sleep(_PARTING_SECONDS)
            raise invalid("MESSAGE_UNPARSABLE", "the call carries no message")
        return message

    async def end(self, context: Context) -> None:
        """Waits until the caller has said that nothing comes after its message. Raises RequestError."""
        if await self.next(context.read) is not grpc.aio.EOF:  # type: ignore[attr-defined]  # as above
            raise invalid("MESSAGE_UNPARSABLE", "the call carries more than one message")

    async def next(self, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` gives, of the current caller. Raises RequestError."""
        caller = current()
        if caller.admitted:
            return await self._callers.receive(caller.turn, read)
        # Grouped by address, so that many connections of one machine do not keep another machine's probes away.
        return await self._strangers.receive(caller.peer, read, group=_host(caller.peer))


class _Read:
    """A message that is being read."""

    __slots__ = ("began", "group", "limit", "refusal")

    def __init__(self, group: str, limit: asyncio.Timeout) -> None:
        self.group, self.limit, self.began = group, limit, time.monotonic()
        self.refusal: RequestError | None = None

    def end(self, refusal: RequestError) -> None:
        """Has its call refused."""
        if self.refusal is None and not self.limit.expired():  # an expired limit takes no other time
            self.refusal = refusal
            self.limit.reschedule(asyncio.get_running_loop().time())


class _Waiter:
    """A call whose message is not read yet."""

    __slots__ = ("admitted", "began")

    def __init__(self) -> None:
        self.admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.began = time.monotonic()


class InboundLimiter:
    """Reads so many messages at once; the other calls wait in turn, unread. Lives on one event loop."""

    def __init__(self, reads: int, *, most: int, seconds: float, of_one: int | None = None) -> None:
        """`most`: calls that are read or wait, in all, and `of_one` caller. `seconds`: the longest read."""
        self._free, self._half = reads, reads // 2
        self._most, self._of_one, self._seconds = most, of_one or most, seconds
        # Calls by caller, and by group.
        self._open: Counter[str] = Counter()
        self._of_group: Counter[str] = Counter()
        self._total = 0
        self._reads: dict[_Read, None] = {}  # the oldest first
        self._waiting: GroupTurns[_Waiter] = GroupTurns()
        self._watcher: asyncio.Task[None] | None = None
        self._trimmer = Trimmer()

    async def receive(self, caller: str, read: Callable[[], Awaitable[T]], *, group: str | None = None) -> T:
        """What `read` gives. Raises RequestError where there is no room for it, or it takes too long.

        `group`: of the caller; none: the caller is one alone. Groups have turns, and the callers of each.
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
            for counter, name in ((self._open, caller), (self._of_group, group)):
                counter[name] -= 1
                if not counter[name]:
                    del counter[name]

    def _enter(self, group: str, caller: str) -> None:
        if self._open[caller] >= self._of_one:
            raise _too_many(f"{self._of_one} unfinished calls of this connection")
        if self._total >= self._most:
            self._make_room(group, caller)
        self._total += 1
        self._open[caller] += 1
        self._of_group[group] += 1

    def _make_room(self, group: str, caller: str) -> None:
        """Refuses the newest waiting call of the group with the most, or else of this group's caller with the most.

        Raises RequestError where that is this one.
        """
        refusal = _too_many(f"{self._total} unfinished calls")
        largest, waiting = self._waiting.largest()
        if waiting <= self._of_group[group] + 1:
            largest = group
            if self._waiting.longest(group) <= self._open[caller] + 1:
                raise refusal
        waiter = self._waiting.evict(largest)
        if not waiter.admitted.done():
            waiter.admitted.set_exception(refusal)

    async def _read(self, group: str, read: Callable[[], Awaitable[T]]) -> T:
        limit = asyncio.timeout(self._seconds)
        one = _Read(group, limit)
        self._reads[one] = None
        try:
            async with limit:
                return await read()
        except BaseException as error:
            # What had arrived is freed with its call, into heaps of several threads, where it stayed.
            self._trimmer.ask()
            if isinstance(error, TimeoutError):
                raise one.refusal or _too_slow(self._seconds) from None
            raise
        finally:
            del self._reads[one]
            self._pass_on()

    async def _wait(self, group: str, caller: str) -> None:
        waiter = _Waiter()
        self._waiting.put(group, caller, waiter)
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(_SECONDS):
                await waiter.admitted
        except BaseException as error:
            if waiter.admitted.done() and not waiter.admitted.cancelled() and not waiter.admitted.exception():
                self._pass_on()  # the turn came, and nobody is there to take it
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
        """While calls wait for long, ends messages that hold them up."""
        try:
            while self._waiting:
                await asyncio.sleep(_LOOK_SECONDS)
                oldest = min((one.began for one in self._waiting), default=float("inf"))
                if time.monotonic() - oldest >= _SLOW_SECONDS:
                    self._end_slow()
        finally:
            self._watcher = None

    def _end_slow(self) -> None:
        now = time.monotonic()
        slow = [one for one in self._reads if now - one.began > _SLOW_SECONDS and one.refusal is None]
        for one in slow:
            if now - one.began > _SECONDS:
                one.end(_too_slow(_SECONDS))
        slow = [one for one in slow if one.refusal is None]
        held = Counter(one.group for one in slow)
        # The newest of the group with the most: those that began before are nearer to their end.
        for _ in range(len(slow) - self._half):
            [(group, _count)] = held.most_common(1)
            held[group] -= 1
            newest = next(one for one in reversed(slow) if one.group == group)
            slow.remove(newest)
            newest.end(_too_many("too many slow messages are arriving"))


def _host(peer: str) -> str:
    """The address of a connection, without its port: of `ipv4:10.0.0.1:50051`, `ipv4:10.0.0.1`."""
    return peer.rpartition(":")[0]


def _too_many(what: str) -> RequestError:
    return queue_full(Queue.MESSAGES, f"{what}; send this one again later", _COME_BACK_SECONDS)


def _too_slow(seconds: float) -> RequestError:
    message = f"the message was not complete within {seconds:g} s; send fewer inputs in one call"
    return RequestError(Code.DEADLINE_EXCEEDED, "MESSAGE_TIMEOUT", message)
