"""The nearest neighbours of each of many vectors: exact for few, by inverted lists for many."""

from typing import Any, NamedTuple

import faiss
import numpy as np

from glimpse.index.building.train import thread_count
from glimpse.index.types import Ids, Vectors

# FAISS's type stubs lack some names.
_faiss: Any = faiss

# Up to here every pair is compared.
_EXACT = 20_000
# More lists than that cost more in the search for the nearest lists than they save within them.
_LISTS_PER_ROOT, _READ_LISTS = 4, 16
_TRAINED_PER_LIST, _ROUNDS, _SEED = 40, 6, 1
# Rows searched at once: their results and FAISS's tables stay small beside the vectors.
_BLOCK = 4_096


class NeighborGraph(NamedTuple):
    """The nearest neighbours of N vectors among themselves, a vector itself left out."""

    #: (N, k) row numbers, nearest first; -1 where lists held too few vectors.
    neighbors: Ids
    #: (N, k) cosines, descending; -1 where there is no neighbour.
    cosines: Vectors


def neighbor_graph(vectors: Vectors, k: int, threads: int = 1) -> NeighborGraph:
    """Finds the k nearest other vectors of each vector.

    Up to 20,000 vectors are compared with each other. More are searched by FAISS's inverted lists (IVF, Jégou et al.
    2011), which hold one copy of the vectors. Equal input and threads give equal graphs.

    Args:
        vectors: unit vectors, (N, d).
        k: neighbours per vector, at least 1; N - 1 if there are fewer.
        threads: threads of FAISS and its BLAS.

    Raises:
        ValueError: k is less than 1.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    count = len(vectors)
    k = max(0, min(k, count - 1))
    neighbors, cosines = np.full((count, k), -1, np.int64), np.full((count, k), -1, np.float32)
    if not k:
        return NeighborGraph(neighbors, cosines)
    rows = np.ascontiguousarray(vectors, np.float32)
    with thread_count(threads):
        index = _exact(rows) if count <= _EXACT else _lists(rows)
        for start in range(0, count, _BLOCK):
            # A vector is among its own nearest, so one more is searched.
            near, places = index.search(rows[start : start + _BLOCK], k + 1)
            block = slice(start, start + len(places))
            neighbors[block], cosines[block] = _without_itself(near, places, start)
    return NeighborGraph(neighbors, cosines)


def _exact(rows: Vectors) -> Any:
    index: Any = faiss.IndexFlatIP(rows.shape[1])
    index.add(rows)
    return index


def _lists(rows: Vectors) -> Any:
    """Returns inverted lists with all rows, trained on a sample of them."""
    count, dimension = rows.shape
    lists = int(_LISTS_PER_ROOT * count**0.5)
    index: Any = _faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.seed, index.cp.min_points_per_centroid = _ROUNDS, _SEED, 1
    index.cp.spherical = True
    chosen = np.random.default_rng(_SEED).permutation(count)[: _TRAINED_PER_LIST * lists]
    index.train(rows[np.sort(chosen)])
    index.add(rows)
    index.nprobe = _READ_LISTS
    return index


def _without_itself(cosines: Vectors, places: Ids, start: int) -> tuple[Ids, Vectors]:
    """Removes each row's own number from its results, or the last result if copies pushed it out: (n, k + 1) → (n, k).

    Args:
        cosines: (n, k + 1), of rows start to start + n.
        places: (n, k + 1), -1 where there is none.
        start: number of the first row.
    """
    own = places == np.arange(start, start + len(places))[:, None]
    own[~own.any(1), -1] = True
    shape = len(places), places.shape[1] - 1
    places, cosines = places[~own].reshape(shape), cosines[~own].reshape(shape)
    return places, np.where(places < 0, np.float32(-1), cosines)
