"""Ranks kept queries: first the one whose answer teaches most about queries that are uncertain and not yet covered.

A query covers another by how alike the two are, and an enrolled example covers queries likewise. The next query of the
ranking is the one that adds most coverage, with each covered query weighted by its uncertainty. So a dense region comes
before an outlier, two queries that are alike do not follow each other, and what the collection knows comes late.
"""

import heapq
from collections.abc import Iterator, Sequence

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample
from glimpse.fewshot.types import Prediction

# Queries whose coverage is counted: with a sample, the cost grows with N and not with N².
_SAMPLE = 1024
# The kernel's width, as a part of the median distance between two queries.
_WIDTH = 0.4
# Queries that are compared with the sample at once: 16 MB of kernels.
_BLOCK = 4096
# Distances below this are rounding.
_ALIKE = 1e-4


def uncertainties(predictions: Sequence[Prediction]) -> Floats:
    """Returns how uncertain each answer is, from 0 to 1: 1 less the lead in probability over the second label.

    The decision does not count: a query that is like no example has no coverage, and is ranked early for that. Source:
    margin sampling (Scheffer, Decomain and Wrobel 2001).

    Args:
        predictions: n predictions with at least two labels, if the collection has two.

    Returns:
        `(n,)` float64. 1 where no label can score.
    """
    pairs = [(*prediction.probabilities[:2], 0.0, 0.0)[:2] for prediction in predictions]
    return 1 - np.array([best - second for best, second in pairs], np.float64)


def rank_items(vectors: Array, uncertainty: Floats, enrolled: Array, labels: int, first: int = 256) -> Rows:
    """Orders queries by the coverage of uncertain queries that each adds to those before it.

        gain(i) = Σ_r w_r max(0, k(x_i, x_r) - c_r),   k(x, y) = exp(-(1 - x^T y) / h),   w_r = 1 + u_r / s²

    c_r is the greatest k(x_r, ·) over the enrolled examples and the queries ranked before. r runs over all queries, or
    a fixed sample of 1,024. h is 0.4 of the median 1 - cos between two of them. s is the number of examples per label:
    in measurements, weight on uncertain queries helps near one shot and harms at two to four. The sum is submodular, so
    the greedy order is within 1 - 1/e of the best set of each size (Nemhauser, Wolsey and Fisher 1978). An old gain
    bounds a new one, so few are computed again (Minoux 1978). Source: uncertainty herding (Bae, Oliveira and
    Sutherland 2025); with w = 1 it is generalised coverage (Bae, Noh and Sutherland 2024). docs/methods.md compares it
    with other rules.

    Args:
        vectors: `(N, d)` float32, unit rows.
        uncertainty: `(N,)`, from 0 to 1, of `uncertainties`.
        enrolled: `(E, d)` float32, unit rows: the examples of the collection. E may be 0.
        labels: the number of labels that have examples.
        first: how many are ranked in this way. The others follow by the last gain that is known of them.

    Returns:
        `(N,)`, the positions of the queries, the first to review first. Equal input gives equal output. Takes
        O((N + E) d) for each of the 1,024 queries of the sample, and little more for each of the first.
    """
    if not len(vectors):
        return np.empty(0, np.intp)
    coverage = _Coverage(vectors, uncertainty, enrolled, labels)
    gains = np.concatenate([coverage.gain(kernels) for kernels in coverage.kernels(vectors)])
    # The position breaks ties, so that equal input gives equal output.
    heap = [(-gain, row) for row, gain in enumerate(gains.tolist())]
    heapq.heapify(heap)
    ranked = _greedy(heap, coverage, vectors, first)
    return np.array(ranked + [row for _, row in sorted(heap)], np.intp)


def _greedy(heap: list[tuple[float, int]], coverage: "_Coverage", vectors: Array, first: int) -> list[int]:
    """Takes the first queries from a heap of (minus an upper bound of the gain, position), and covers them."""
    ranked: list[int] = []
    while heap and len(ranked) < first:
        _, row = heapq.heappop(heap)
        kernel = next(coverage.kernels(vectors[row : row + 1]))[0]
        current = (-float(coverage.gain(kernel)), row)
        # The bound of the next query is at least its gain.
        if heap and current > heap[0]:
            heapq.heappush(heap, current)
        else:
            coverage.cover(kernel)
            ranked.append(row)
    return ranked


class _Coverage:
    """The coverage of a sample of the queries, `(R,)`, and the gain of a candidate that would be added."""

    def __init__(self, vectors: Array, uncertainty: Floats, enrolled: Array, labels: int) -> None:
        sampled = sample(len(vectors), _SAMPLE)
        shots = max(1.0, len(enrolled) / max(labels, 1))
        self._sampled = vectors[sampled]
        self._weights = (1 + uncertainty[sampled] / shots**2).astype(np.float32)
        self._width = _WIDTH * _median_distance(self._sampled)
        self._covered = np.zeros(len(sampled), np.float32)
        for kernels in self.kernels(enrolled):
            self.cover(kernels.max(0))

    def kernels(self, vectors: Array) -> Iterator[Array]:
        """Yields the kernels of vectors to the sample in blocks, `(n, d)` → `(m, R)`."""
        for start in range(0, len(vectors), _BLOCK):
            kernels = vectors[start : start + _BLOCK] @ self._sampled.T
            kernels -= 1
            kernels /= self._width
            yield np.exp(kernels, out=kernels)

    def gain(self, kernels: Array) -> Floats:
        """Returns the gain of candidates with these kernels, `(..., R)` → `(...)`."""
        return np.asarray(np.maximum(kernels - self._covered, 0) @ self._weights, np.float64)

    def cover(self, kernel: Array) -> None:
        """Adds a candidate with this kernel to those that cover the sample."""
        np.maximum(self._covered, kernel, out=self._covered)


def _median_distance(vectors: Array) -> np.float32:
    """Returns the median 1 - cos between two of the vectors, `(R, d)`; 1 if all are alike."""
    pairs = np.triu_indices(len(vectors), 1)
    median = np.median(1 - (vectors @ vectors.T)[pairs]) if len(pairs[0]) else 0.0
    return np.float32(median if median > _ALIKE else 1.0)
