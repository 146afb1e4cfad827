"""Fair queues: serve callers in turn, not inputs in their order of arrival.

If one caller has a thousand inputs waiting and another has one, each gets one served; after that the first caller gets
all of the time.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """A queue for each caller. Callers with waiting items are served once a round."""

    def __init__(self) -> None:
        #: The first caller is the next. A caller that was served moves to the end.
        self._queues: OrderedDict[str, deque[T]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return (item for queue in self._queues.values() for item in queue)

    def put(self, caller: str, item: T) -> None:
        """Adds an item behind the caller's other items."""
        self._queues.setdefault(caller, deque()).append(item)
        self._length += 1

    def take(self) -> T:
        """Removes and returns the next caller's next item. Raises StopIteration if the queue is empty."""
        caller, queue = next(iter(self._queues.items()))
        item = queue.popleft()
        self._length -= 1
        if queue:
            self._queues.move_to_end(caller)
        else:
            del self._queues[caller]
        return item

    def longest(self) -> int:
        """Returns the number of items of the caller that has the most."""
        return max(map(len, self._queues.values()), default=0)

    def evict(self) -> T:
        """Removes and returns the newest item of the caller that has the most. Raises ValueError if there is none."""
        caller = max(self._queues, key=lambda name: len(self._queues[name]))
        item = self._queues[caller][-1]
        self.discard(caller, item)
        return item

    def discard(self, caller: str, item: T) -> None:
        """Removes an item if it is still in the queue."""
        queue = self._queues.get(caller, deque())
        if item in queue:
            queue.remove(item)
            self._length -= 1
            if not queue:
                del self._queues[caller]

    def clear(self) -> None:
        """Removes every item."""
        self._queues.clear()
        self._length = 0


class GroupedFairQueue(Generic[T]):
    """A fair queue for each group of callers. Groups are served in turn, and in a group its callers are."""

    def __init__(self) -> None:
        #: The first group is the next.
        self._groups: OrderedDict[str, FairQueue[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def __bool__(self) -> bool:
        return bool(self._groups)

    def __iter__(self) -> Iterator[T]:
        return (item for queue in self._groups.values() for item in queue)

    def put(self, group: str, caller: str, item: T) -> None:
        """Adds an item behind the caller's other items."""
        self._groups.setdefault(group, FairQueue()).put(caller, item)

    def take(self) -> T:
        """Removes and returns the next group's next item. Raises StopIteration if the queue is empty."""
        group, queue = next(iter(self._groups.items()))
        item = queue.take()
        self._groups.move_to_end(group)
        self._remove_empty(group)
        return item

    def largest(self) -> tuple[str, int]:
        """Returns the group that has the most items and their number; an empty name and 0 if there is none."""
        sizes = ((group, len(queue)) for group, queue in self._groups.items())
        return max(sizes, key=lambda size: size[1], default=("", 0))

    def longest(self, group: str) -> int:
        """Returns the number of items of the caller that has the most in a group."""
        return self._groups[group].longest() if group in self._groups else 0

    def evict(self, group: str) -> T:
        """Removes and returns the newest item of a group's caller that has the most. Raises KeyError if none waits."""
        item = self._groups[group].evict()
        self._remove_empty(group)
        return item

    def discard(self, group: str, caller: str, item: T) -> None:
        """Removes an item if it is still in the queue."""
        if group in self._groups:
            self._groups[group].discard(caller, item)
            self._remove_empty(group)

    def _remove_empty(self, group: str) -> None:
        if not self._groups[group]:
            del self._groups[group]
