"""Whose turn it is: what callers want is done for each of them in turn, not in the order in which it came.

A caller with a thousand inputs waiting and one with a single one get one each, then the first alone has all of it.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue for each caller; of those who have something in it, each is served once a round."""

    def __init__(self) -> None:
        #: The first is the next; who is served goes to the end.
        self._queues: OrderedDict[str, deque[T]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return (item for queue in self._queues.values() for item in queue)

    def put(self, caller: str, item: T) -> None:
        """Behind the caller's others."""
        self._queues.setdefault(caller, deque()).append(item)
        self._length += 1

    def take(self) -> T:
        """The next caller's next item. Raises StopIteration where there is none."""
        caller, queue = next(iter(self._queues.items()))
        item = queue.popleft()
        self._length -= 1
        if queue:
            self._queues.move_to_end(caller)
        else:
            del self._queues[caller]
        return item

    def longest(self) -> int:
        """The number of items of the caller with the most."""
        return max(map(len, self._queues.values()), default=0)

    def evict(self) -> T:
        """Removes the newest item of the caller with the most. Raises ValueError where there is none."""
        caller = max(self._queues, key=lambda name: len(self._queues[name]))
        item = self._queues[caller][-1]
        self.discard(caller, item)
        return item

    def discard(self, caller: str, item: T) -> None:
        """Removes an item, where it is still there."""
        queue = self._queues.get(caller, deque())
        if item in queue:
            queue.remove(item)
            self._length -= 1
            if not queue:
                del self._queues[caller]

    def clear(self) -> None:
        """Forgets everything."""
        self._queues.clear()
        self._length = 0


class GroupTurns(Generic[T]):
    """The same of groups of callers: each group is served once a round, and in it each caller in turn."""

    def __init__(self) -> None:
        #: The first is the next.
        self._groups: OrderedDict[str, FairQueue[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __iter__(self) -> Iterator[T]:
        return (item for turns in self._groups.values() for item in turns)

    def put(self, group: str, caller: str, item: T) -> None:
        """Behind the caller's others."""
        self._groups.setdefault(group, FairQueue()).put(caller, item)

    def take(self) -> T:
        """The next group's next item. Raises StopIteration where there is none."""
        group, turns = next(iter(self._groups.items()))
        item = turns.take()
        self._groups.move_to_end(group)
        self._forget_empty(group)
        return item

    def largest(self) -> tuple[str, int]:
        """The group with the most items, and their number; none: an empty name and 0."""
        sizes = ((group, len(turns)) for group, turns in self._groups.items())
        return max(sizes, key=lambda one: one[1], default=("", 0))

    def longest(self, group: str) -> int:
        """The number of items of a group's caller with the most."""
        return self._groups[group].longest() if group in self._groups else 0

    def evict(self, group: str) -> T:
        """Removes the newest item of a group's caller with the most. Raises KeyError where there is none."""
        item = self._groups[group].evict()
        self._forget_empty(group)
        return item

    def discard(self, group: str, caller: str, item: T) -> None:
        """Removes an item, where it is still there."""
        if group in self._groups:
            self._groups[group].discard(caller, item)
            self._forget_empty(group)

    def _forget_empty(self, group: str) -> None:
        if not self._groups[group]:
            del self._groups[group]


class FairSemaphore:
    """Lets so many in at once, and those who wait for it in turn. Lives on one event loop."""

    def __init__(self, width: int) -> None:
        self._free = width
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Waits for the caller's turn, and passes it on at the end."""
        if self._free:
            self._free -= 1
        else:
            admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.put(caller, admitted)
            try:
                await admitted
            except asyncio.CancelledError:
                if not admitted.cancelled():  # the turn came, and nobody is there to take it
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        while self._waiting:
            admitted = self._waiting.take()
            if not admitted.done():  # otherwise cancelled
                admitted.set_result(None)
                return
        self._free += 1
