"""Groups points that are alike, and describes the groups: medoid, spread, outliers, near copies."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.groups.density import group_sums
from glimpse.fewshot.groups.levels import References, choose_level
from glimpse.fewshot.groups.linkage import merge_groups
from glimpse.fewshot.groups.neighbors import shared_neighbors
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: Cosine from which two points are near copies.
NEAR_COPY = 0.98
# Cosine from which two points are the same: 1 but for rounding.
_COPY = 1 - 1e-5
# Distances to copies are 0. Less than this part of the median distance makes no point more isolated.
_LEAST_DISTANCE = 0.1


@dataclass(frozen=True)
class Groups:
    """Review groups of N points: the largest group is number 0. A point that is like no other has a group of its own.

    These are not `Examples.groups`, which name examples that are left out together.
    """

    #: (N,) group number of each point.
    numbers: Rows
    #: (G,) members, falling.
    sizes: Rows
    #: (G,) the member with the greatest sum of cosines to the group's members.
    medoids: Rows
    #: (G,) mean 1 - cosine of the members to the medoid; 0 for a point alone.
    spreads: Floats
    #: (N,) mean 1 - cosine to the nearest neighbours over the mean of those neighbours' own: about 1 inside a region,
    #: more outside, less among copies. 1 without neighbours.
    isolation: Floats
    #: Similarity at which the tree of merges was cut: weights of edges between two groups over (size * size) ** 0.75.
    height: float
    #: Whether labels chose the cut; otherwise density did.
    from_labels: bool

    def members(self, number: int) -> Rows:
        """Returns the points of a group, ascending."""
        return self._by_group[number]

    @cached_property
    def _by_group(self) -> list[Rows]:
        return np.split(np.argsort(self.numbers, kind="stable"), np.cumsum(self.sizes)[:-1])

    def outliers(self, most: int) -> Rows:
        """Returns at most `most` points, the most isolated first. Backbones differ in what isolation is usual."""
        return np.argsort(-self.isolation, kind="stable")[:most]


class NearDuplicates(NamedTuple):
    """Pairs of points that are near copies, the nearest first."""

    pairs: Rows  # (P, 2), the smaller number first
    cosines: Array  # (P,)


def find_review_groups(
    vectors: Array,
    neighbors: npt.NDArray[np.int64],
    cosines: Array,
    references: References | None = None,
    *,
    with_references: bool = False,
) -> Groups:
    """Groups points by the neighbours that they share.

    Labelled vectors may follow the points. Their labels only say at what height the tree of merges is cut: an example
    is merged as if it had no label, so that agreement with its label is that of a left-out example.

    Args:
        vectors: `(N + L, d)`, unit rows: the points, then the references.
        neighbors: `(N + L, k)`, the nearest other rows of each row, -1 where there is none; see `graph_neighbors`.
        cosines: `(N + L, k)`, their cosines.
        references: labels of the last L rows; None if L is 0.
        with_references: whether the references are members of the groups too.

    Returns:
        The groups of the first N rows; with `with_references`, those of all rows.

    Raises:
        ValueError: the arrays differ in length.
    """
    known = 0 if references is None else len(references.rows)
    count = len(vectors)
    if neighbors.shape != cosines.shape or len(neighbors) != count or known > count:
        raise ValueError(f"{count} vectors, {known} references, neighbours {neighbors.shape}, cosines {cosines.shape}")
    points = count - known
    copies = near_duplicates(neighbors, cosines, _COPY).pairs
    merges = merge_groups(shared_neighbors(neighbors), count, copies)
    level = choose_level(merges, vectors, references if known else None, with_references=with_references)
    isolation = _isolation(neighbors, cosines)
    grouped = slice(None) if with_references else slice(points)
    return _described(vectors[grouped], level.groups[grouped], isolation[grouped], level.height, level.from_labels)


def _described(vectors: Array, groups: Rows, isolation: Floats, height: float, from_labels: bool) -> Groups:
    """Numbers the groups by size, and finds their medoids and spreads."""
    _, first, inverse, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    order = np.lexsort((first, -sizes))
    numbers = np.empty(len(order), np.intp)
    numbers[order] = np.arange(len(order))
    numbers, sizes = numbers[inverse], sizes[order].astype(np.intp)
    medoids = _medoids(vectors, numbers)
    distances = 1 - np.einsum("ij,ij->i", vectors, vectors[medoids[numbers]], dtype=np.float64)
    spreads = np.bincount(numbers, distances, len(sizes)) / sizes
    spreads[sizes == 1] = 0.0
    return Groups(numbers, sizes, medoids, np.maximum(spreads, 0.0), isolation, height, from_labels)


def _medoids(vectors: Array, numbers: Rows) -> Rows:
    if not len(vectors):
        return np.empty(0, np.intp)
    # The sum of cosines to all members is the cosine with the sum of their vectors.
    central = np.einsum("ij,ij->i", vectors, group_sums(vectors, numbers)[numbers])
    order = np.lexsort((np.arange(len(numbers)), -central, numbers))
    return order[np.flatnonzero(np.diff(numbers[order], prepend=-1))]


def _isolation(neighbors: npt.NDArray[np.int64], cosines: Array) -> Floats:
    """Returns the simplified local outlier factor (Breunig et al. 2000; Schubert et al. 2014): `(N, k)` → `(N,)`."""
    if not cosines.size:
        return np.ones(len(cosines))
    present = neighbors >= 0
    counts = np.maximum(present.sum(1), 1)
    distances = np.where(present, 1 - cosines, 0.0).sum(1) / counts  # (N,)
    around = np.where(present, distances[neighbors], 0.0).sum(1) / counts
    around = np.maximum(around, _LEAST_DISTANCE * np.median(distances))
    return np.asarray(np.where(present.any(1), (distances + 1e-6) / (around + 1e-6), 1.0), np.float64)


def near_duplicates(neighbors: npt.NDArray[np.int64], cosines: Array, least: float = NEAR_COPY) -> NearDuplicates:
    """Returns the pairs of a graph with at least a cosine. Of more than k copies, not all pairs are in the graph.

    Args:
        neighbors: `(N, k)`, -1 where there is none.
        cosines: `(N, k)`.
        least: the least cosine of a pair.
    """
    row, place = np.nonzero((cosines >= least) & (neighbors >= 0))
    pairs = np.sort(np.column_stack([row, neighbors[row, place]]), 1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    found = cosines[row, place][first]
    order = np.argsort(-found, kind="stable")
    return NearDuplicates(pairs[order].astype(np.intp), found[order])
