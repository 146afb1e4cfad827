"""A copy of changing vectors on a device whose indexes can only grow."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from glimpse.index.search.combined_search import CombinedSearch, Found
from glimpse.index.search.device import ABANDONED, COORDINATE_BYTES, MAX_RESULTS, PART_ROWS, Device, free
from glimpse.index.search.device_part import DevicePart
from glimpse.index.search.flat_index import FlatIndex
from glimpse.index.types import Ids, Vectors

logger = logging.getLogger(__name__)
# Rows moved to the device while holding it once.
_MOVED = 1 << 14
# Float32 bytes of new vectors that the processor compares itself, in about 0.03 ms a query; more are moved.
_TAIL_BYTES = 1 << 20
# A part with fewer live rows than this share is rewritten.
_LIVE_SHARE = 0.5
Read = Callable[[int], tuple[Ids, Vectors]]


def has_room(device: Device, rows: int, dimension: int) -> bool:
    """Returns whether a device has room for a copy of `rows` vectors.

    A part more than it needs, so that a copy which was given up is not made and given up again and again.
    """
    return device.fits(rows + PART_ROWS, dimension)


class _DeviceFull(Exception):
    """The device has no memory for more vectors."""


class GrowingCopy:
    """Vectors with 64-bit ids on a device, in half precision. It is thread-safe.

    New vectors are searched by the processor until there are enough to move. Deleted ones stay as tombstones; a part
    with many of them is rewritten in the background. Changes never wait for the device.
    """

    def __init__(self, device: Device, dimension: int) -> None:
        """Creates an empty copy; `fill` makes it searchable."""
        self._device: Final = device
        self._dimension: Final = dimension
        self._parts: list[DevicePart] = []
        self._tail = FlatIndex(dimension)
        # Guards parts, tail and the fields below; never held during work on the device.
        self._lock = threading.Lock()
        # Ids that are removed while their vectors are on the way to the device; None if none are on the way.
        self._removed: list[Ids] | None = None
        self._ready = self._working = self._full = self._failed = False
        self._combined = CombinedSearch(device.lock)

    @property
    def count(self) -> int:
        """The number of vectors that are not deleted."""
        with self._lock:
            return len(self._tail) + sum(part.count for part in self._parts)

    @property
    def full(self) -> bool:
        """True if the copy was given up because the device had no memory for more vectors."""
        return self._full

    @property
    def rows(self) -> int:
        """The number of vectors that a search compares, deleted ones included."""
        return len(self._tail) + sum(map(len, self._parts))

    def put(self, ids: Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), or replaces those with the same ids, (n,)."""
        with self._lock:
            if self._full or self._failed:
                return
            self._bury(ids)
            self._tail.add(ids, vectors)
        self._tidy_soon()

    def remove(self, ids: Ids) -> None:
        """Removes ids and ignores unknown ones."""
        with self._lock:
            self._bury(ids)
        self._tidy_soon()

    def _bury(self, ids: Ids) -> None:
        for part in self._parts:
            part.bury(ids)
        self._tail.remove(ids)
        if self._removed is not None:
            self._removed.append(ids)

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
                self._move(next_block)
            with self._lock:
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
            return self._combined.search(self._search, queries, k)
        except Exception as error:
            self._fail(error)
            return None

    def _search(self, queries: Vectors, k: int) -> Found:
        """Searches all parts and the tail. The device is held, so no part changes but for tombstones."""
        found = [(part, *part.vectors.search(queries, k)) for part in self._parts if len(part)]
        with self._lock:  # a vector that is replaced at this moment has either its old or its new row
            results = [(np.where(rows < 0, -np.inf, cosines), part.ids_of(rows)) for part, cosines, rows in found]
            results.append(self._tail.search(queries, k))
        cosines = np.concatenate([cosines for cosines, _ in results], axis=1).astype(np.float32, copy=False)
        ids = np.concatenate([ids for _, ids in results], axis=1)
        missing = ((0, 0), (0, max(0, k - ids.shape[1])))
        cosines = np.pad(cosines, missing, constant_values=-np.inf)
        ids = np.pad(ids, missing, constant_values=-1)
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(cosines, nearest, 1), np.take_along_axis(ids, nearest, 1)

    def _tidy_soon(self) -> None:
        """Moves the tail or rewrites a part in the background, if that is due."""
        with self._lock:
            if not self._ready or self._working or self._next_step() is None:
                return
            self._working = True
        self._device.start(partial(self._guarded, self._tidy))

    def _tidy(self) -> None:
        while True:
            with self._lock:
                step = self._next_step()
                self._working = step is not None
            if step is None:
                return
            step()

    def _next_step(self) -> Callable[[], None] | None:
        """Returns what is due, or None. The lock is held."""
        if self._sparse() is not None:
            return self._rewrite
        if len(self._tail) * self._dimension * 4 > _TAIL_BYTES:
            return partial(self._move, self._first_of_tail)
        return None

    def _sparse(self) -> DevicePart | None:
        """Returns a part with many tombstones, or None. The lock is held."""
        return next((part for part in self._parts if part.count < _LIVE_SHARE * len(part)), None)

    def _first_of_tail(self, room: int) -> tuple[Ids, Vectors]:
        return self._tail.present(self._tail.ids()[:room])

    def _rewrite(self) -> None:
        """Moves the live rows of a part with many tombstones to the end, block by block, and drops the part."""
        with self._lock:
            part = self._sparse()
        while part is not None and part.count:
            self._move(part.first_live, part)
        with self._device.lock:
            with self._lock:
                self._parts = [kept for kept in self._parts if kept is not part]
            part = None  # frees its memory, which is a use of the device

    def _move(self, read: Read, source: DevicePart | None = None) -> None:
        """Adds a block of vectors to the last part.

        Args:
            read: returns ids and vectors, at most as many as it is asked for; called while holding the device if there
                is a source.
            source: the part that the block is removed from; None: it is removed from the tail, if it is there.

        Raises:
            _DeviceFull: the memory does not suffice.
        """
        part = self._open_part(source)
        with self._lock:
            self._removed = []
        room = min(_MOVED, PART_ROWS - len(part))
        if source is None:
            ids, vectors = read(room)
        else:
            with self._device.lock:
                ids, vectors = read(room)
        if not len(ids):  # all of them were removed at this moment
            with self._lock:
                self._removed = None
            return
        self._check_room(len(part) + len(ids))
        order = part.order.with_more(ids)
        with self._device.lock:
            part.vectors.add(np.ascontiguousarray(vectors, np.float32))
            with self._lock:
                live = ~np.isin(ids, np.concatenate([np.empty(0, np.int64), *(self._removed or [])]))
                self._removed = None
                (self._tail.remove if source is None else source.bury)(ids[live])
                part.publish(order, live)

    def _open_part(self, source: DevicePart | None) -> DevicePart:
        """Returns the last part if it has room and is not the source, or a new one."""
        last = self._parts[-1] if self._parts else None
        if last is not None and last is not source and len(last) < PART_ROWS:
            return last
        with self._device.lock:
            part = DevicePart(self._device.create(self._dimension))
            with self._lock:
                self._parts.append(part)
        return part

    def _check_room(self, rows: int) -> None:
        """Raises _DeviceFull if there is no memory for a part of `rows` rows beside the present one."""
        if not self._device.fits(rows, self._dimension):
            raise _DeviceFull(
                f"{rows * self._dimension * COORDINATE_BYTES / 1e6:.0f} MB are needed, "
                f"{self._device.free_bytes() / 1e6:.0f} MB are free"
            )

    def _guarded(self, work: Callable[[], None]) -> None:
        """Works on the device; gives the copy up if the memory does not suffice or the device fails."""
        problem = ""
        try:
            work()
        except _DeviceFull as error:
            problem = str(error)
        except Exception as error:  # not only CUDA's: changes and searches go on in any case
            self._fail(error)
        if problem:  # after the exception, whose traceback refers to a part
            self._give_up(problem)

    def _give_up(self, problem: str) -> None:
        logger.warning("the GPU is full, the processor searches %d vectors: %s", self.count, problem)
        with self._device.lock:
            with self._lock:
                self._full, self._ready, self._removed = True, False, None
                parts, self._parts, self._tail = self._parts, [], FlatIndex(self._dimension)
            parts.clear()

    def _fail(self, error: Exception) -> None:
        with self._lock:
            ABANDONED.extend(self._parts)
            if not self._failed:
                cause = None if isinstance(error, RuntimeError) else error
                logger.error("a GPU has failed, the processor searches from now on: %s", error, exc_info=cause)
            self._failed, self._ready, self._removed = True, False, None

    def __del__(self) -> None:
        """Frees the memory in the background, because that is a use of the device."""
        if self._parts and not self._failed:
            self._device.start(partial(free, self._device.lock, self._parts))
