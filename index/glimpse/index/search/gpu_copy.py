"""Searches a copy of an index on a GPU. A GPU search supports no selector, so rows that are not allowed are filtered
out.
"""

import threading
from typing import Any, Self

from glimpse.index.search.gpu import to_gpu
from glimpse.index.search.id_selectors import Mask, sieved
from glimpse.index.types import Ids, Vectors

# FAISS's limit of results of a GPU search.
_MAX_RESULTS = 2_048


class Device:
    """A searchable copy on a GPU. It is thread-safe and serves one thread at a time."""

    def __init__(self, index: Any) -> None:
        """Wraps a copy; use `of`."""
        self._index, self._lock = index, threading.Lock()

    @classmethod
    def of(cls, index: Any) -> Self | None:
        """Copies an index to the first GPU; returns None if there is no GPU or it cannot hold the index."""
        copy, _ = to_gpu(index)
        return None if copy is index else cls(copy)

    def search(self, queries: Vectors, k: int, allowed: Mask | None, count: int) -> tuple[Vectors, Ids] | None:
        """Finds the k nearest rows of each query.

        Args:
            queries: unit vectors, (n, d).
            k: at least 1.
            allowed: mask of the allowed rows, (N,); None for all.
            count: number of allowed rows.

        Returns:
            Cosines and rows, each (n, k); None if too few allowed rows are among the results.
        """
        asked = k if allowed is None else min(len(allowed), k + 2 * k * len(allowed) // count)
        if asked > _MAX_RESULTS:
            return None
        with self._lock:
            similarities, rows = self._index.search(queries, asked)
        return (similarities, rows) if allowed is None else sieved(similarities, rows, allowed, k)
