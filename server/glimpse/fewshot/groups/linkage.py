"""Merges the points of a graph step by step, and cuts the tree of merges at a height."""

from typing import NamedTuple

import numpy as np

from glimpse.fewshot.groups.neighbors import Edges, sum_parallel
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

# The sum of the edges between two groups is divided by (size * size) ** _POWER. 1 is average linkage, with which large
# groups of a graph of ten neighbours never merge; 1/2 is the mean number of edges per member, which joins small ones.
_POWER = 0.75


class Merges(NamedTuple):
    """The merges of N points, at most N - 1, in the order in which they were made."""

    kept: Rows  # (m,) the point that stands for the merged group
    joined: Rows  # (m,) the point that stood for the other group
    #: (m,) similarity at which a merge holds: not above that of earlier ones within the group; infinite for copies.
    heights: Floats


def merge_groups(edges: Edges, count: int, copies: Rows) -> Merges:
    """Merges groups that are nearest to each other, in rounds, until no edges are left between groups.

    All pairs of groups of which each is the other's nearest merge in the same round: agglomerative clustering by
    reciprocal nearest neighbours (Murtagh 1983; on graphs: Sumengen et al. 2021, Dhulipala et al. 2021).

    Copies merge before all others. More than k copies have the same k as neighbours: the others would join these one by
    one, with similarities that fall with the size of the set, and a cut would split it.

    Args:
        edges: an undirected graph; pairs without an edge have similarity 0.
        count: N.
        copies: `(P, 2)`, pairs of points that are the same.
    """
    first = connected_parts(copies, count)
    joined = np.flatnonzero(first != np.arange(count))
    rounds: list[tuple[Rows, Rows, Floats]] = [(first[joined], joined, np.full(len(joined), np.inf))]
    sizes, holds = np.bincount(first, minlength=count).astype(np.float64), np.full(count, np.inf)
    edges = _renamed(edges, first[joined], joined, count)
    while len(edges.left):
        similarities = edges.weights / (sizes[edges.left] * sizes[edges.right]) ** _POWER
        chosen = _reciprocal(edges, similarities, count)
        kept, joined = edges.left[chosen], edges.right[chosen]
        heights = np.minimum(similarities[chosen], np.minimum(holds[kept], holds[joined]))
        holds[kept] = heights
        sizes[kept] += sizes[joined]
        rounds.append((kept, joined, heights))
        edges = _renamed(edges, kept, joined, count)
    return Merges(*(np.concatenate(parts) for parts in zip(*rounds, strict=True)))


def _reciprocal(edges: Edges, similarities: Floats, count: int) -> Rows:
    """Returns the edges that are the most similar of both their ends. Of equal edges, the first one is."""
    order = np.argsort(-similarities, kind="stable")
    best = np.full(count, len(order))
    ranks = np.empty(len(order), np.intp)
    ranks[order] = np.arange(len(order))
    np.minimum.at(best, edges.left, ranks)
    np.minimum.at(best, edges.right, ranks)
    return np.flatnonzero((best[edges.left] == ranks) & (best[edges.right] == ranks))


def _renamed(edges: Edges, kept: Rows, joined: Rows, count: int) -> Edges:
    """Returns the edges between the groups after a round of merges."""
    names = np.arange(count)
    names[joined] = kept
    left, right = names[edges.left], names[edges.right]
    between = left != right
    left, right = left[between], right[between]
    return sum_parallel(np.minimum(left, right), np.maximum(left, right), edges.weights[between], count)


def connected_parts(pairs: Rows, count: int) -> Rows:
    """Returns the least point that each point is connected with, itself without any: pairs `(P, 2)` → `(N,)`."""
    least, before = np.arange(count), np.empty(0, np.intp)
    left, right = pairs.T
    while not np.array_equal(least, before):
        before = least.copy()
        both = np.minimum(least[left], least[right])
        np.minimum.at(least, left, both)
        np.minimum.at(least, right, both)
        least = least[least]
    return least


def cut_at(merges: Merges, height: float, count: int) -> Rows:
    """Returns the group of each point, `(N,)`, numbered from 0, after the merges of at least a height."""
    parents = np.arange(count)
    made = merges.heights >= height
    parents[merges.joined[made]] = merges.kept[made]
    while not np.array_equal(parents, above := parents[parents]):
        parents = above
    return np.unique(parents, return_inverse=True)[1].astype(np.intp)
