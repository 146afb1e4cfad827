"""Exact search over vectors that change, by a copy on a device where that is faster."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

from glimpse.index.search.combined_search import Found
from glimpse.index.search.device import MAX_RESULTS, Device
from glimpse.index.search.device_rows.upkeep import has_room
from glimpse.index.search.flat_index import FlatIndex
from glimpse.index.search.growing_copy import GrowingCopy
from glimpse.index.search.result_order import ordered
from glimpse.index.types import Ids, Vectors

logger = logging.getLogger(__name__)
# Results asked for each one wanted, because of tombstones and rounding. FAISS's kernels select 32 at least.
_ASKED, _LEAST_ASKED = 4, 32
# Vectors read at a time to rescore candidates, which bounds the memory.
_READ_AT_ONCE = 1 << 13
# A device without room is asked again after this time.
_RETRY_SECONDS = 10.0


class CopiedIndex(FlatIndex):
    """A FlatIndex that is also on a device once it is large. It returns what a FlatIndex returns.

    The device finds candidates in half precision, and their cosines are computed again from the float32 vectors. Half
    precision moves a cosine by a bounded amount. So the answer is exact if the last result is better than any vector
    that was not a candidate can be. Otherwise more candidates are asked for, and then the processor searches.
    """

    def __init__(self, index: FlatIndex, device: Device) -> None:
        """Takes over the vectors of an index, which must not be changed any more."""
        self._index, self._lock, self._count = index._index, index._lock, len(index)
        self._device: Final = device
        self._copy: GrowingCopy | None = None
        self._refused_until = 0.0
        # Held during a change and while a copy begins, so that the copy misses no change and has none twice.
        self._changes = threading.Lock()
        # Held during a step of a search on the processor: with several, a change would wait for the vectors' lock for
        # long.
        self._on_processor = threading.Lock()
        self._copy_if_large()

    def add(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), with new ids, (n,)."""
        with self._changes:
            super().add(ids, vectors)
            if self._copy is not None:
                self._copy.put(np.asarray(ids, np.int64), vectors)

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Removes ids and ignores unknown ones; makes one pass over all vectors."""
        with self._changes:
            if self._copy is not None:
                self._copy.remove(np.asarray(ids, np.int64))
            super().remove(ids)
            if self._copy is not None:  # again: `fill` may have read them between the two lines
                self._copy.remove(np.asarray(ids, np.int64))

    def search(self, queries: Vectors, k: int, among: Ids | None = None) -> Found:
        """Finds the k nearest vectors of each query; see `FlatIndex.search`."""
        self._copy_if_large()
        copy, width = self._copy, min(k, len(self))
        if copy is None or width == 0 or not len(queries):
            return super().search(queries, k, among)
        rows = np.ascontiguousarray(queries, np.float32)
        cosines, ids = np.full((len(rows), width), -1, np.float32), np.full((len(rows), width), -1, np.int64)
        left = np.arange(len(rows))
        for asked in _asked(width, copy.rows, among):
            found = copy.search(rows[left], asked) if len(left) else None
            if found is None:
                break
            exact = self._exact(rows[left], found, among, width)
            if exact is None:  # a candidate was removed at this moment
                break
            cosines[left], ids[left], certain = exact
            left = left[~certain]
        if len(left):
            some, nearest = super().search(rows[left], width, among)
            missing = ((0, 0), (0, width - nearest.shape[1]))
            cosines[left] = np.pad(some, missing, constant_values=-1)
            ids[left] = np.pad(nearest, missing, constant_values=-1)
        return cosines, ids

    def _search(self, queries: Vectors, k: int, parameters: Any) -> Found:
        with self._on_processor:
            return super()._search(queries, k, parameters)

    def _exact(
        self, queries: Vectors, found: Found, among: Ids | None, k: int
    ) -> "tuple[Vectors, Ids, np.typing.NDArray[np.bool_]] | None":
        """Returns exact cosines and ids of the k nearest candidates, and whether no other vector is nearer.

        Args:
            queries: unit vectors, (n, d).
            found: rounded cosines and ids of the candidates, each (n, at least k).
            among: the allowed ids; None for all.
            k: at least 1.
        """
        rounded, ids = found
        if among is not None:
            ids = np.where(np.isin(ids, among), ids, -1)
        cosines = np.full(ids.shape, -np.inf, np.float32)
        places, columns = np.nonzero(ids >= 0)
        for start in range(0, len(places), _READ_AT_ONCE):
            cells = places[start : start + _READ_AT_ONCE], columns[start : start + _READ_AT_ONCE]
            distinct, position = np.unique(ids[cells], return_inverse=True)
            try:
                vectors = self.vectors(distinct)
            except KeyError:
                return None
            cosines[cells] = np.einsum("ij,ij->i", queries[cells[0]], vectors[position])
        cosines, ids = ordered(cosines, ids)
        # All vectors that are no candidates have at most the last candidate's rounded cosine.
        highest = rounded[:, -1] + _rounding(queries.shape[1])
        return cosines[:, :k], ids[:, :k], cosines[:, k - 1] >= highest

    def _copy_if_large(self) -> None:
        """Begins a copy if the index is large and the device has room."""
        if self._copy is not None and not self._copy.full:
            return
        count, dimension = len(self), self._index.d
        if 4 * count * dimension < max(1, self._device.min_bytes) or time.monotonic() < self._refused_until:
            return
        if not has_room(self._device, count, dimension):
            if not self._refused_until:
                logger.warning("the GPU has no room for %d vectors, the processor searches them", count)
            self._refused_until = time.monotonic() + _RETRY_SECONDS
            return
        with self._changes:
            if self._copy is not None and not self._copy.full:
                return  # another thread was faster
            self._refused_until, self._copy = 0.0, GrowingCopy(self._device, dimension)
            fill = partial(self._copy.fill, self.ids(), self.present)
        self._device.start(fill)


def _asked(k: int, rows: int, among: Ids | None) -> Iterator[int]:
    """Yields how many candidates to ask for, at first and then; nothing if more are needed than a device returns."""
    first = max(_ASKED * k, _LEAST_ASKED)
    if among is not None:
        first = first * rows // max(1, len(among))
    if first <= MAX_RESULTS:
        yield first
        if first < MAX_RESULTS:
            yield MAX_RESULTS


def _rounding(dimension: int) -> float:
    """Returns by how much half precision can change the cosine of two unit vectors.

    Each coordinate is rounded by at most 2^-11 of its value, and so is the length of the vector. Of two rounded
    vectors the inner product is off by twice that. The sum, in single precision, adds at most d 2^-24 twice over.
    """
    return 2.0**-10 + dimension * 2.0**-23
