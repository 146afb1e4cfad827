"""Shared neighbours against sets."""

import numpy as np

from glimpse.fewshot.groups import graph_neighbors
from glimpse.fewshot.groups.neighbors import shared_neighbors


def test_weights_are_the_jaccard_index_of_neighborhoods() -> None:
    rng = np.random.default_rng(0)
    neighbors = np.array([rng.permutation(np.delete(np.arange(30), row))[:5] for row in range(30)])
    neighbors[3, 4] = neighbors[8, 2] = -1
    around = [{row} | {end for end in ends if end >= 0} for row, ends in enumerate(neighbors.tolist())]
    expected: dict[tuple[int, int], float] = {}
    for row, ends in enumerate(neighbors.tolist()):
        for end in (end for end in ends if end >= 0):
            shared = len(around[row] & around[end])
            # A missing neighbour still counts as one that is not shared.
            weight = shared / (12 - shared) / 2
            pair = min(row, end), max(row, end)
            expected[pair] = expected.get(pair, 0.0) + weight
    edges = shared_neighbors(neighbors)
    assert list(zip(edges.left.tolist(), edges.right.tolist(), strict=True)) == sorted(expected)
    assert np.allclose(edges.weights, [expected[pair] for pair in sorted(expected)])


def test_small_graphs_have_fewer_neighbors() -> None:
    assert [graph_neighbors(count) for count in (1, 2, 10, 50, 100, 100_000)] == [1, 1, 3, 7, 10, 10]
