"""Turns a graph of nearest neighbours into weighted edges: how many neighbours two points share."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

# Ten neighbours are best or close to it on four sets of 5 to 130 members per label; seven split large labels, and
# fifteen join labels of 20.
_NEIGHBORS = 10
# Edges whose neighbours are compared at once: 2 * (k + 1) numbers each.
_BLOCK = 65_536


class Edges(NamedTuple):
    """Edges of an undirected graph, each stored once with `left < right`."""

    left: Rows  # (E,)
    right: Rows  # (E,)
    weights: Floats  # (E,)


def graph_neighbors(count: int) -> int:
    """Returns how many neighbours per point a graph of `count` points should have, at least 1.

    With fewer than 100 points ten would be most of them, so there it is the root of their number.
    """
    return max(1, min(_NEIGHBORS, round(math.sqrt(count)), count - 1))


def shared_neighbors(neighbors: npt.NDArray[np.int64]) -> Edges:
    """Weights the edges of a graph by shared neighbours.

    An edge's weight is the Jaccard index of the neighbourhoods of its ends, each with its point itself (Jarvis and
    Patrick 1973; Houle et al. 2010). An edge that only one end has among its neighbours counts half. Ranks, not
    cosines, decide, so dense and sparse regions have the same scale.

    Args:
        neighbors: `(N, k)`, -1 where there is none.
    """
    count, k = neighbors.shape
    own = np.arange(count)
    # A missing neighbour becomes a number of its own, which is shared with no other point.
    padded = np.where(neighbors < 0, count + own[:, None] * k + np.arange(k), neighbors)
    around = np.sort(np.column_stack([own, padded]), 1)  # (N, k + 1)
    start, end = np.repeat(own, k), neighbors.ravel()
    start, end = start[end >= 0], end[end >= 0]
    weights = np.empty(len(start))
    for at in range(0, len(start), _BLOCK):
        some = slice(at, at + _BLOCK)
        both = np.sort(np.concatenate([around[start[some]], around[end[some]]], 1), 1)
        shared = (both[:, 1:] == both[:, :-1]).sum(1)
        weights[some] = shared / (both.shape[1] - shared)
    return sum_parallel(np.minimum(start, end), np.maximum(start, end), weights / 2, count)


def sum_parallel(left: Rows, right: Rows, weights: Floats, count: int) -> Edges:
    """Adds up the weights of edges with the same ends: three arrays `(e,)` → edges in order of their ends."""
    keys = left * count + right
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    sums = np.add.reduceat(weights[order], first) if len(first) else np.empty(0)
    return Edges(keys[first] // count, keys[first] % count, sums)
