"""A budget of memory that threads wait for."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """A number of bytes that threads share. A thread that needs more than is free waits, first come, first served."""

    def __init__(self, size: int) -> None:
        """Creates a budget of `size` bytes."""
        self._free = size
        self._turn, self._changed = threading.Lock(), threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Waits until `size` bytes are free, and holds them within the context."""
        with self._turn, self._changed:  # only the first thread in the queue waits for bytes
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
