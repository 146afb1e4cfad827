"""Approximate search over very many vectors that come and go."""

import threading
from collections.abc import Sequence
from typing import Any, Self

import faiss
import numpy as np

from glimpse.index.search.flat_index import Ids, Vectors

# The generated types lack a name or two.
_faiss: Any = faiss

# 4 sqrt(n) lists: of a million, more is found than with sqrt(n) lists when the same part is read. Each has its few
# vectors, so that a small index reads all its lists.
_LISTS, _LEAST_IN_LIST = 4, 8
# About the least that FAISS asks for (39): k-means takes much of the time of building.
_TRAINED_PER_LIST, _ROUNDS = 40, 6
# Of a million, an eighth of the lists has just 99 in 100 of the nearest, a sixth has more: `things` in
# bench/results/gallery.md.
_PROBED_PART, _LEAST_PROBED = 6, 64
# Bits of a query's coordinates. Eight hardly find more than four.
_QUERY_BITS = 4
_SEED = 1
# Under one hold of the lock: some milliseconds, of codes read and of vectors written.
_LOCKED_CODES, _LOCKED_VECTORS = 500_000, 32
# Turned and written at a time when building: it bounds the copy.
_FILLED = 50_000


class CandidateIndex:
    """The likely nearest of very many unit vectors, named by 64-bit ids. Safe to use from several threads.

    Lists around k-means centres, of which a search reads some; in them one bit a coordinate, turned at random (RaBitQ,
    Gao and Long 2024). So similarities are estimates, off by some hundredths, and so is their order: ask for more than
    are needed and compare those exactly. About 165 bytes a vector for 512 coordinates.
    """

    def __init__(self, dimension: int, lists: int) -> None:
        """Untrained: `build` makes one that can be used."""
        # FAISS's own wrappers take arrays; the generated types know only pointers.
        self._lists: Any = faiss.IndexIVFRaBitQ(
            faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT
        )
        self._lists.nprobe = min(lists, max(_LEAST_PROBED, lists // _PROBED_PART))
        self._lists.qb = _QUERY_BITS
        self._lists.cp.niter, self._lists.cp.seed = _ROUNDS, _SEED
        # Fewer than FAISS likes are no reason to write to stderr.
        self._lists.cp.min_points_per_centroid = 1
        # Real embeddings have strong and weak coordinates; turned, every bit tells as much.
        turn: Any = faiss.RandomRotationMatrix(dimension, dimension)
        turn.init(_SEED)
        self._index: Any = faiss.IndexPreTransform(turn, self._lists)
        self._trained = 0
        # FAISS allows searches side by side, but none beside a change.
        self._lock = threading.Lock()

    @classmethod
    def build(cls, ids: Sequence[int] | Ids, vectors: Vectors) -> Self:
        """Trains on the vectors, (n, d), and fills: some minutes for a million.

        The same ids and vectors, in the same order, make the same index. Of an id that is there twice the last vector
        counts. Raises ValueError without vectors.
        """
        if not len(vectors):
            raise ValueError("no vectors to train on")
        lists = min(int(_LISTS * len(vectors) ** 0.5), len(vectors) // _LEAST_IN_LIST)
        index = cls(vectors.shape[1], max(1, lists))
        index._index.train(_sample(vectors, _TRAINED_PER_LIST * index._lists.nlist))
        # So that ids are found without a pass over the lists.
        index._lists.set_direct_map_type(_faiss.DirectMap.Hashtable)
        given, rows = _last(ids)
        for start in range(0, len(given), _FILLED):
            part = slice(start, start + _FILLED)
            index._index.add_with_ids(np.ascontiguousarray(vectors[rows[part]], np.float32), given[part])
        index._trained = len(given)
        return index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def due(self) -> bool:
        """Whether the contents have doubled or halved since training, and are worth a new build."""
        return len(self) >= 2 * self._trained or 2 * len(self) <= self._trained

    def put(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), under their ids, (n,), in the place of what was there; of an id given twice, the last.

        A search beside a long call may find some of it; each id always has its old vector or its new one.
        """
        given, rows = _last(ids)
        for start in range(0, len(given), _LOCKED_VECTORS):
            part = slice(start, start + _LOCKED_VECTORS)
            new = np.ascontiguousarray(vectors[rows[part]], np.float32)
            with self._lock:
                self._index.remove_ids(faiss.IDSelectorArray(given[part]))
                self._index.add_with_ids(new, given[part])

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Removes ids; unknown ones are ignored. Takes as long as the ids are many, whatever is stored."""
        with self._lock:
            self._index.remove_ids(faiss.IDSelectorArray(np.ascontiguousarray(ids, np.int64)))

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        """Likely the k nearest: estimated cosines and ids, each (n, k), nearest first; id -1 where there are fewer.

        Args:
            queries: (n, d), unit rows.
            k: at least 1.
        """
        rows = np.ascontiguousarray(queries, np.float32)
        similarities, ids = np.empty((len(rows), k), np.float32), np.empty((len(rows), k), np.int64)
        read = max(1, len(self) * self._lists.nprobe // self._lists.nlist)
        # A change waits for the lock, so a long list of queries gives it away now and then.
        step = max(1, _LOCKED_CODES // read)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            with self._lock:
                similarities[part], ids[part] = self._index.search(rows[part], k)
        return similarities, ids


def _sample(vectors: Vectors, count: int) -> Vectors:
    if count < len(vectors):
        rows = np.random.default_rng(_SEED).choice(len(vectors), count, replace=False)
        vectors = vectors[np.sort(rows)]
    return np.ascontiguousarray(vectors, np.float32)


def _last(ids: Sequence[int] | Ids) -> tuple[Ids, Ids]:
    """Every id once, and the last place it has."""
    given = np.asarray(ids, np.int64)
    once, places = np.unique(given[::-1], return_index=True)
    return once, len(given) - 1 - places
