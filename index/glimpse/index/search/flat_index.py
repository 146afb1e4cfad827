"""Exact search over vectors that change."""

import threading
from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np

from glimpse.index.types import Ids, Vectors

# FAISS's type stubs lack some names.
_faiss: Any = faiss

# Multiply-adds while holding the lock once: some milliseconds.
_LOCKED_SEARCH = 30_000_000
_READ_AT_ONCE = 1_000


class FlatIndex:
    """Exact cosine search over unit vectors with 64-bit ids. It is thread-safe."""

    def __init__(self, dimension: int) -> None:
        # FAISS's Python wrappers take arrays; the type stubs only know pointers.
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        # FAISS allows concurrent searches, but not during a change.
        self._lock = threading.Lock()
        # A copy of `ntotal`: every search asks for it several times, and FAISS's attribute takes a microsecond.
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def reserve(self, count: int) -> None:
        """Allocates memory for `count` vectors in an empty index, because growing in steps would copy them."""
        with self._lock:
            flat: Any = faiss.downcast_index(self._index.index)
            flat.codes.resize(count * flat.code_size)
            flat.codes.resize(0)  # keeps the capacity

    def add(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), with new ids, (n,)."""
        with self._lock:
            self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.asarray(ids, np.int64))
            self._count = int(self._index.ntotal)

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Removes ids and ignores unknown ones; makes one pass over all vectors."""
        with self._lock:
            self._index.remove_ids(np.asarray(ids, np.int64))
            self._count = int(self._index.ntotal)

    def vector(self, id: int) -> Vectors:
        """Returns the vector of an id, (d,). Raises KeyError."""
        with self._lock:
            try:
                return np.asarray(self._index.reconstruct(int(id)), np.float32)
            except RuntimeError as error:
                raise KeyError(id) from error

    def vectors(self, ids: Ids) -> Vectors:
        """Returns the vectors, (n, d), of ids, (n,). Raises KeyError if an id is unknown."""
        found = np.empty((len(ids), self._index.d), np.float32)
        for start in range(0, len(ids), _READ_AT_ONCE):
            with self._lock:
                try:
                    part = ids[start : start + _READ_AT_ONCE]
                    found[start : start + _READ_AT_ONCE] = self._index.reconstruct_batch(part)
                except RuntimeError as error:
                    raise KeyError("one of the ids") from error
        return found

    def ids(self) -> Ids:
        """Returns the ids of all vectors, (n,), in the order in which they were added."""
        with self._lock:
            return np.asarray(_faiss.vector_to_array(self._index.id_map), np.int64)

    def present(self, ids: Ids) -> tuple[Ids, Vectors]:
        """Returns those of some ids that exist, and their vectors."""
        while True:
            try:
                return ids, self.vectors(ids)
            except KeyError:
                ids = ids[np.isin(ids, self.ids())]

    def search(self, queries: Vectors, k: int, among: Ids | None = None) -> tuple[Vectors, Ids]:
        """Finds the k nearest vectors of each query.

        Args:
            queries: unit vectors, (n, d).
            k: at least 1.
            among: ids to search; None for all.

        Returns:
            Cosines and ids, each (n, min(k, stored)), nearest first; id -1 if `among` has fewer.
        """
        parameters = _among(among) if among is not None else None
        k = min(k, len(self))
        if k == 0 or not len(queries):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        rows = np.ascontiguousarray(queries, np.float32)
        # A change waits for the lock, so a long list of queries releases it now and then.
        step = max(1, _LOCKED_SEARCH // (len(self) * rows.shape[1]))
        if len(rows) <= step:
            return self._search(rows, k, parameters)
        found = [self._search(rows[start : start + step], k, parameters) for start in range(0, len(rows), step)]
        similarities, ids = zip(*found, strict=True)
        return np.concatenate(similarities), np.concatenate(ids)

    def _search(self, queries: Vectors, k: int, parameters: Any) -> tuple[Vectors, Ids]:
        with self._lock:
            similarities, ids = self._index.search(queries, k, params=parameters)
        return similarities, ids


def _among(ids: Ids) -> Any:
    parameters: Any = faiss.SearchParameters
    return parameters(sel=faiss.IDSelectorBatch(ids))
