"""Exact search over vectors that come and go."""

import threading
from collections.abc import Sequence
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


# Multiply-adds under one hold of the lock: some milliseconds.
_LOCKED_SEARCH = 30_000_000
_READ_AT_ONCE = 1_000


class FlatIndex:
    """Cosine search, exact, over unit vectors named by 64-bit ids. Safe to use from several threads."""

    def __init__(self, dimension: int) -> None:
        # FAISS's own wrappers take arrays; the generated types know only pointers.
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        # FAISS allows searches side by side, but none beside a change.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def reserve(self, count: int) -> None:
        """Takes the memory of so many vectors at once, into an empty index: growing by parts would copy them all."""
        with self._lock:
            flat: Any = faiss.downcast_index(self._index.index)
            flat.codes.resize(count * flat.code_size)
            flat.codes.resize(0)  # which keeps what it took

    def add(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), under new ids, (n,)."""
        with self._lock:
            self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.asarray(ids, np.int64))

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Removes ids; unknown ones are ignored. One pass over everything stored."""
        with self._lock:
            self._index.remove_ids(np.asarray(ids, np.int64))

    def vector(self, id: int) -> Vectors:
        """The vector, (d,), of an id. Raises KeyError."""
        with self._lock:
            try:
                return np.asarray(self._index.reconstruct(int(id)), np.float32)
            except RuntimeError as error:
                raise KeyError(id) from error

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors of ids, (n,): (n, d). Raises KeyError where one is not there."""
        found = np.empty((len(ids), self._index.d), np.float32)
        for start in range(0, len(ids), _READ_AT_ONCE):
            with self._lock:
                try:
                    part = ids[start : start + _READ_AT_ONCE]
                    found[start : start + _READ_AT_ONCE] = self._index.reconstruct_batch(part)
                except RuntimeError as error:
                    raise KeyError("one of the ids") from error
        return found

    def search(self, queries: Vectors, k: int, among: Ids | None = None) -> tuple[Vectors, Ids]:
        """The k nearest: cosines and ids, each (n, min(k, stored)), nearest first; id -1 where `among` has fewer.

        Args:
            queries: (n, d), unit rows.
            k: at least 1.
            among: only these ids.
        """
        parameters = _among(among) if among is not None else None
        k = min(k, len(self))
        if k == 0 or not len(queries):
            return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        rows = np.ascontiguousarray(queries, np.float32)
        # A change waits for the lock, so a long list of queries gives it away now and then.
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
