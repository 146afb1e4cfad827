"""A copy of changing vectors on a device whose indexes can only grow."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from glimpse.index.search.combined_search import CombinedSearch, Found
from glimpse.index.search.device import ABANDONED, MAX_RESULTS, Device, free
from glimpse.index.search.device_rows.contents import CopyContents
from glimpse.index.search.device_rows.upkeep import DeviceFull, Upkeep
from glimpse.index.types import Ids, Vectors

logger = logging.getLogger(__name__)


class GrowingCopy:
    """Vectors with 64-bit ids on a device, in half precision. It is thread-safe.

    New vectors are searched by the processor until there are enough to move. Deleted ones stay as tombstones; a part
    with many of them is rewritten in the background. Changes never wait for the device.
    """

    def __init__(self, device: Device, dimension: int) -> None:
        """Creates an empty copy; `fill` makes it searchable."""
        self._device: Final = device
        self._contents: Final = CopyContents(dimension)
        self._upkeep: Final = Upkeep(device, dimension, self._contents)
        self._combined = CombinedSearch(device.lock)
        # The lock of the contents guards these too.
        self._ready = self._working = self._full = self._failed = False

    @property
    def count(self) -> int:
        """The number of vectors that are not deleted."""
        with self._contents.lock:
            return self._contents.count

    @property
    def full(self) -> bool:
        """True if the copy was given up because the device had no memory for more vectors."""
        return self._full

    @property
    def rows(self) -> int:
        """The number of vectors that a search compares, deleted ones included."""
        return self._contents.rows

    def put(self, ids: Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), or replaces those with the same ids, (n,)."""
        with self._contents.lock:
            if self._full or self._failed:
                return
            self._contents.put(ids, vectors)
        self._tidy_soon()

    def remove(self, ids: Ids) -> None:
        """Removes ids and ignores unknown ones."""
        with self._contents.lock:
            self._contents.bury(ids)
        self._tidy_soon()

    def fill(self, ids: Ids, read: Callable[[Ids], tuple[Ids, Vectors]]) -> None:
        """Copies vectors to the device and makes the copy searchable; works as long as that takes.

        Args:
            ids: their ids, (n,), none of which was put since the constructor.
            read: returns those of some ids that still exist, and their vectors.
        """
        start = 0

        def next_block(room: int) -> tuple[Ids, Vectors]:
            nonlocal start
            block = ids[start : start + room]
            start += len(block)
            return read(block)

        def move_all() -> None:
            while start < len(ids):
                self._upkeep.move(next_block)
            with self._contents.lock:
                self._ready = self._working = True
            self._tidy()
            logger.info("%d vectors are searched on the GPU", len(ids))

        self._guarded(move_all)

    def search(self, queries: Vectors, k: int) -> Found | None:
        """Finds the k nearest of each query, deleted vectors included.

        Args:
            queries: unit vectors, (n, d).
            k: at least 1.

        Returns:
            Cosines in half precision and ids, each (n, k), nearest first. A deleted vector has the id -1; a missing one
            also has the cosine -inf. None if the copy cannot be searched, or k is more than `MAX_RESULTS`.
        """
        if not self._ready or k > MAX_RESULTS:
            return None
        try:
            return self._combined.search(self._contents.search, queries, k)
        except Exception as error:
            self._fail(error)
            return None

    def _tidy_soon(self) -> None:
        """Moves the tail or rewrites a part in the background, if that is due."""
        with self._contents.lock:
            if not self._ready or self._working or self._upkeep.next_step() is None:
                return
            self._working = True
        self._device.start(partial(self._guarded, self._tidy))

    def _tidy(self) -> None:
        while True:
            with self._contents.lock:
                step = self._upkeep.next_step()
                self._working = step is not None
            if step is None:
                return
            step()

    def _guarded(self, work: Callable[[], None]) -> None:
        """Works on the device; gives the copy up if the memory does not suffice or the device fails."""
        problem = ""
        try:
            work()
        except DeviceFull as error:
            problem = str(error)
        except Exception as error:  # not only CUDA's: changes and searches go on in any case
            self._fail(error)
        if problem:  # after the exception, whose traceback refers to a part
            self._give_up(problem)

    def _give_up(self, problem: str) -> None:
        logger.warning("the GPU is full, the processor searches %d vectors: %s", self.count, problem)
        with self._device.lock:
            with self._contents.lock:
                self._full, self._ready = True, False
                parts = self._contents.clear()
            parts.clear()

    def _fail(self, error: Exception) -> None:
        with self._contents.lock:
            ABANDONED.extend(self._contents.parts)
            if not self._failed:
                cause = None if isinstance(error, RuntimeError) else error
                logger.error("a GPU has failed, the processor searches from now on: %s", error, exc_info=cause)
            self._failed, self._ready = True, False
            self._contents.cancel_move()

    def __del__(self) -> None:
        """Frees the memory in the background, because that is a use of the device."""
        if self._contents.parts and not self._failed:
            self._device.start(partial(free, self._device.lock, self._contents.parts))
