"""Searches a copy of an index on the first GPU. A GPU search supports no selector, so rows that are not allowed are
filtered out.
"""

import logging
from functools import partial
from typing import Any, Self

import faiss

from glimpse.index.search.combined_search import CombinedSearch
from glimpse.index.search.cuda import free_bytes, gpu_count
from glimpse.index.search.device import ABANDONED, COORDINATE_BYTES, MAX_RESULTS, PART_ROWS, SHARE, free, in_thread
from glimpse.index.search.gpu import GPU_LOCK, create_flat, on_first_gpu
from glimpse.index.search.id_selectors import Mask, sieved
from glimpse.index.types import Ids, Vectors

logger = logging.getLogger(__name__)
# FAISS keeps the id of every row in a list.
_ID_BYTES = 8
# The CPU package lacks the names of GPU classes.
_faiss: Any = faiss


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
        problem = ""
        try:
            copy = _cloned(index) if stored is None else _flat(stored)
        except RuntimeError as error:
            problem = str(error).splitlines()[-1]
        return (None, f"on the processor: {problem}") if problem else (cls(copy, index), f"{what} on the GPU")

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
        if asked > MAX_RESULTS or not self._works:
            return None
        try:
            similarities, rows = self._combined.search(self._index.search, queries, asked)
        except RuntimeError as error:
            self._works = False
            ABANDONED.append(self._index)
            logger.error("a search on the GPU failed, the processor searches from now on: %s", error)
            return None
        return (similarities, rows) if allowed is None else sieved(similarities, rows, allowed, k)

    def __del__(self) -> None:
        """Frees the memory in the background, because that is a use of the GPU."""
        if self._works:
            in_thread(partial(free, GPU_LOCK, [self.__dict__.pop("_index")]))


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


def _cloned(index: Any) -> Any:
    """Copies an index as it is. Raises RuntimeError if FAISS has no such type for GPUs, or no memory."""
    _check_room(index.ntotal * (index.sa_code_size() + _ID_BYTES))
    with GPU_LOCK:
        return on_first_gpu(index)


def _flat(stored: Any) -> Any:
    """Copies all vectors of an index in 16 bits, in parts. Raises RuntimeError if the memory does not suffice."""
    _check_room(COORDINATE_BYTES * stored.ntotal * stored.d)
    parts = _faiss.IndexShards(stored.d, False, True)
    kept = parts.referenced_objects = []  # FAISS does not own them
    try:
        for start in range(0, stored.ntotal, PART_ROWS):
            vectors = stored.reconstruct_n(start, min(PART_ROWS, stored.ntotal - start))
            with GPU_LOCK:
                kept.append(create_flat(stored.d))
                kept[-1].add(vectors)
            parts.add_shard(kept[-1])
    except RuntimeError:
        with GPU_LOCK:
            kept.clear()
        raise
    return parts


def _check_room(needed: int) -> None:
    """Raises RuntimeError if a copy of this many bytes would leave too little memory."""
    if needed > SHARE * (available := free_bytes()):
        raise RuntimeError(f"the copy needs {needed / 1e9:.1f} GB, and the GPU has {available / 1e9:.1f} GB free")
