"""An index copied to GPUs, where FAISS sees some. There it takes no selector: deleted rows are sieved out."""

import threading
from typing import Any, Self

from glimpse.index.search.flat_index import Ids, Vectors
from glimpse.index.search.gpu import to_gpu
from glimpse.index.search.id_selectors import Mask, sieved

# FAISS's searches on a GPU give no more.
_MOST = 2_048


class Device:
    """Searches a copy. Safe to use from several threads, of which one at a time is served."""

    def __init__(self, index: Any) -> None:
        """`of` makes one."""
        self._index, self._lock = index, threading.Lock()

    @classmethod
    def of(cls, index: Any) -> Self | None:
        """A copy on all GPUs; None where there is none, or it is nothing that they hold."""
        there, _ = to_gpu(index)
        return None if there is index else cls(there)

    def search(self, queries: Vectors, k: int, allowed: Mask | None, count: int) -> tuple[Vectors, Ids] | None:
        """The k nearest, of `count` allowed rows or of all (None): (n, k) each; None: too few of them come back."""
        asked = k if allowed is None else min(len(allowed), k + 2 * k * len(allowed) // count)
        if asked > _MOST:
            return None
        with self._lock:
            similarities, rows = self._index.search(queries, asked)
        return (similarities, rows) if allowed is None else sieved(similarities, rows, allowed, k)
