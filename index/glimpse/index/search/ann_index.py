"""Approximate search over very many vectors that change."""

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import faiss
import numpy as np

from glimpse.index.types import Ids, Vectors

if TYPE_CHECKING:  # imported only where there is a device
    from glimpse.index.search.device import Device
    from glimpse.index.search.growing_copy import GrowingCopy

logger = logging.getLogger(__name__)
# FAISS's type stubs lack some names.
_faiss: Any = faiss

# 4 sqrt(n) lists: for a million vectors they find more than sqrt(n) lists when the same share is read. Each list has at
# least a few vectors, so a small index reads all of its lists.
_LISTS, _LEAST_IN_LIST = 4, 8
# About the minimum that FAISS asks for (39); k-means takes much of the build time.
_TRAINED_PER_LIST, _ROUNDS = 40, 6
# With a million vectors, an eighth of the lists has barely 99 % of the nearest, a sixth has more: `things` in
# bench/results/gallery.md.
_PROBED_PART, _LEAST_PROBED = 6, 64
# Bits of a query's coordinates; eight find almost no more than four.
_QUERY_BITS = 4
_SEED = 1
# Codes read and vectors written while holding the lock once: some milliseconds.
_LOCKED_CODES, _LOCKED_VECTORS = 500_000, 32
# Vectors added at a time when building, which bounds the copy.
_FILLED = 50_000
# Results asked of a device for each one wanted: up to half of its vectors are deleted, by chance more of the near ones.
_ASKED = 4


class CandidateIndex:
    """Finds the likely nearest of very many unit vectors, which have 64-bit ids. It is thread-safe.

    Vectors are in lists around k-means centres, and a search reads some of the lists. Each coordinate is stored as one
    bit after a random rotation (RaBitQ, Gao and Long 2024). Similarities are therefore estimates with an error of some
    hundredths, and so is their order: ask for more results than needed and compare those exactly. A vector of 512
    coordinates takes about 165 bytes.

    On a device all vectors are compared instead, in half precision.
    """

    def __init__(self, dimension: int, lists: int) -> None:
        """Creates an untrained index; `build` returns one that can be used."""
        # FAISS's Python wrappers take arrays; the type stubs only know pointers.
        self._lists: Any = faiss.IndexIVFRaBitQ(
            faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT
        )
        self._lists.nprobe = min(lists, max(_LEAST_PROBED, lists // _PROBED_PART))
        self._lists.qb = _QUERY_BITS
        self._lists.cp.niter, self._lists.cp.seed = _ROUNDS, _SEED
        # Silences FAISS's warning about few training vectors on stderr.
        self._lists.cp.min_points_per_centroid = 1
        # Real embeddings have strong and weak coordinates. After a rotation every bit carries the same information.
        turn: Any = faiss.RandomRotationMatrix(dimension, dimension)
        turn.init(_SEED)
        self._index: Any = faiss.IndexPreTransform(turn, self._lists)
        self._trained = 0
        # FAISS allows concurrent searches, but not during a change.
        self._lock = threading.Lock()
        # Held during a search: with several that wait, a change would wait for the other lock for long.
        self._searching = threading.Lock()
        self._copy: GrowingCopy | None = None

    @classmethod
    def build(cls, ids: Sequence[int] | Ids, vectors: Vectors, device: "Device | None" = None) -> Self:
        """Trains on the vectors and adds them; takes some minutes for a million.

        The same ids and vectors in the same order give the same index. If an id occurs twice, its last vector counts.

        Args:
            ids: ids, (n,).
            vectors: unit vectors, (n, d).
            device: where they are copied to if they are large enough and it has room; None for no copy.

        Raises:
            ValueError: there are no vectors.
        """
        if not len(vectors):
            raise ValueError("no vectors to train on")
        lists = min(int(_LISTS * len(vectors) ** 0.5), len(vectors) // _LEAST_IN_LIST)
        index = cls(vectors.shape[1], max(1, lists))
        index._index.train(_sample(vectors, _TRAINED_PER_LIST * index._lists.nlist))
        # Finds ids without a pass over the lists.
        index._lists.set_direct_map_type(_faiss.DirectMap.Hashtable)
        given, rows = _last(ids)
        for start in range(0, len(given), _FILLED):
            part = slice(start, start + _FILLED)
            index._index.add_with_ids(np.ascontiguousarray(vectors[rows[part]], np.float32), given[part])
        index._trained = len(given)
        if device is not None and vectors.nbytes >= device.min_bytes:
            index._copy_to(device, given, vectors, rows)
        return index

    def _copy_to(self, device: "Device", ids: Ids, vectors: Vectors, rows: Ids) -> None:
        """Copies vectors to a device if it has room for them.

        Args:
            device: the device.
            ids: ids in ascending order, (m,).
            vectors: vectors, (n, d).
            rows: the row of each id, (m,).
        """
        from glimpse.index.search.device_rows.upkeep import has_room
        from glimpse.index.search.growing_copy import GrowingCopy

        if not has_room(device, len(ids), self._index.d):
            logger.warning("the GPU has no room for %d candidates, the processor searches them", len(ids))
            return
        self._copy = GrowingCopy(device, self._index.d)
        self._copy.fill(ids, lambda block: (block, vectors[rows[np.searchsorted(ids, block)]]))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def due(self) -> bool:
        """True if the number of vectors doubled or halved since training, so that a new build is worthwhile."""
        return len(self) >= 2 * self._trained or 2 * len(self) <= self._trained

    def put(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Adds vectors or replaces those with the same ids.

        During a long call, a search may see a part of the changes; each id always has its old or its new vector.

        Args:
            ids: ids, (n,); if an id occurs twice, its last vector counts.
            vectors: unit vectors, (n, d).
        """
        given, rows = _last(ids)
        for start in range(0, len(given), _LOCKED_VECTORS):
            part = slice(start, start + _LOCKED_VECTORS)
            new = np.ascontiguousarray(vectors[rows[part]], np.float32)
            with self._lock:
                self._index.remove_ids(faiss.IDSelectorArray(given[part]))
                self._index.add_with_ids(new, given[part])
            if self._copy is not None:
                self._copy.put(given[part], new)

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Removes ids and ignores unknown ones. The time depends on the number of ids only."""
        removed = np.ascontiguousarray(ids, np.int64)
        with self._lock:
            self._index.remove_ids(faiss.IDSelectorArray(removed))
        if self._copy is not None:
            self._copy.remove(removed)

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        """Finds the likely k nearest of each query.

        Args:
            queries: unit vectors, (n, d).
            k: at least 1.

        Returns:
            Estimated cosines and ids, each (n, k), nearest first; id -1 if there are fewer.
        """
        rows = np.ascontiguousarray(queries, np.float32)
        if (found := self._search_copy(rows, k)) is not None:
            return found
        similarities, ids = np.empty((len(rows), k), np.float32), np.empty((len(rows), k), np.int64)
        read = max(1, len(self) * self._lists.nprobe // self._lists.nlist)
        # A change waits for the lock, so a long list of queries releases it now and then.
        step = max(1, _LOCKED_CODES // read)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            with self._searching, self._lock:
                similarities[part], ids[part] = self._index.search(rows[part], k)
        return similarities, ids

    def _search_copy(self, queries: Vectors, k: int) -> tuple[Vectors, Ids] | None:
        """Searches the copy; None if there is none, or too many of its nearest are deleted."""
        found = self._copy.search(queries, _ASKED * k) if self._copy is not None and len(queries) else None
        if found is None:
            return None
        similarities, ids = found
        if (((ids >= 0).sum(1) < k) & np.isfinite(similarities[:, -1])).any():
            return None
        first = np.argsort(ids < 0, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(similarities, first, 1), np.take_along_axis(ids, first, 1)


def _sample(vectors: Vectors, count: int) -> Vectors:
    if count < len(vectors):
        rows = np.random.default_rng(_SEED).choice(len(vectors), count, replace=False)
        vectors = vectors[np.sort(rows)]
    return np.ascontiguousarray(vectors, np.float32)


def _last(ids: Sequence[int] | Ids) -> tuple[Ids, Ids]:
    """Returns every id once, sorted, and the position of its last occurrence."""
    given = np.asarray(ids, np.int64)
    once, places = np.unique(given[::-1], return_index=True)
    return once, len(given) - 1 - places
