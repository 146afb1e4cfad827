"""Searches a copy of an index on the first GPU. A GPU search supports no selector, so rows that are not allowed are
filtered out.
"""

import logging
from typing import Any, Self

import faiss

from glimpse.index.search.combined_search import CombinedSearch
from glimpse.index.search.cuda import free_bytes, gpu_count
from glimpse.index.search.device import COORDINATE_BYTES, SHARE
from glimpse.index.search.gpu import GPU_LOCK, create_flat, on_first_gpu
from glimpse.index.search.id_selectors import Mask, sieved
from glimpse.index.types import Ids, Vectors

logger = logging.getLogger(__name__)
# The CPU package lacks the names of GPU classes.
_faiss: Any = faiss
# FAISS's limit of results of a GPU search.
_MAX_RESULTS = 2_048
# Rows of one part of a copy. FAISS compares a query with all rows of a part at once, in its temporary memory.
_PART = 1 << 18


class GpuCopy:
    """A searchable copy on a GPU. It is thread-safe: searches that wait for the GPU become one."""

    def __init__(self, index: Any, source: Any = None) -> None:
        """Wraps a copy and the index that it was made from; use `of`."""
        # A graph on the GPU reads vectors in host memory, so the source has to live as long.
        self._index, self._source = index, source
        self._works = True
        self._combined = CombinedSearch(GPU_LOCK)

    @classmethod
    def of(cls, index: Any) -> tuple[Self | None, str]:
        """Copies an index to the first GPU.

        Of an index that rescores, and of a graph, the vectors are copied, in 16 bits, and all of them compared: that is
        exact but for rounding, and faster than finding candidates. Rows keep their numbers.

        Returns:
            The copy, or None if there is no GPU or it cannot hold the index; and where the index is searched and why.
        """
        if not gpu_count():
            return None, "on the processor: FAISS sees no GPU"
        stored, what = _stored(faiss.downcast_index(index))
        try:
            with GPU_LOCK:
                there = on_first_gpu(index) if stored is None else _flat(stored)
        except RuntimeError as error:
            return None, f"on the processor: {str(error).splitlines()[-1]}"
        return cls(there, index), f"{what} on the GPU"

    def search(self, queries: Vectors, k: int, allowed: Mask | None, count: int) -> tuple[Vectors, Ids] | None:
        """Finds the k nearest rows of each query.

        Args:
            queries: unit vectors, (n, d).
            k: at least 1.
            allowed: mask of the allowed rows, (N,); None for all.
            count: number of allowed rows.

        Returns:
            Cosines and rows, each (n, k); None if too few allowed rows are among the results, or the GPU has failed.
        """
        asked = k if allowed is None else min(len(allowed), k + 2 * k * len(allowed) // count)
        if asked > _MAX_RESULTS or not self._works:
            return None
        try:
            similarities, rows = self._combined.search(self._index.search, queries, asked)
        except RuntimeError as error:
            self._works = False
            logger.error("a search on the GPU failed, the processor searches from now on: %s", error)
            return None
        return (similarities, rows) if allowed is None else sieved(similarities, rows, allowed, k)


def _stored(index: Any) -> tuple[Any | None, str]:
    """Returns the index that holds every vector, to be compared one by one, or None; and what is copied."""
    if isinstance(index, _faiss.IndexRefine):
        return faiss.downcast_index(index.refine_index), "the vectors that it rescores by, all compared,"
    if isinstance(index, _faiss.IndexHNSWCagra) and hasattr(faiss, "GpuIndexCagra"):
        return None, "CAGRA"
    if isinstance(index, _faiss.IndexHNSW):
        return faiss.downcast_index(index.storage), "the graph's vectors, all compared,"
    flat = isinstance(index, (_faiss.IndexFlat, _faiss.IndexScalarQuantizer))
    return (index if flat else None), type(index).__name__


def _flat(stored: Any) -> Any:
    """Copies all vectors of an index in 16 bits, in parts. Raises RuntimeError if the memory does not suffice."""
    needed, free = COORDINATE_BYTES * stored.ntotal * stored.d, free_bytes()
    if needed > SHARE * free:
        raise RuntimeError(f"the copy needs {needed / 1e9:.1f} GB, and the GPU has {free / 1e9:.1f} GB free")
    parts = _faiss.IndexShards(stored.d, False, True)
    parts.referenced_objects = []  # FAISS does not own them
    for start in range(0, stored.ntotal, _PART):
        part = create_flat(stored.d)
        part.add(stored.reconstruct_n(start, min(_PART, stored.ntotal - start)))
        parts.add_shard(part)
        parts.referenced_objects.append(part)
    return parts
