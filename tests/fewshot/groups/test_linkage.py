"""Merging in rounds against merging one pair at a time."""

import itertools

import numpy as np
import pytest

from glimpse.fewshot.groups import linkage
from glimpse.fewshot.groups.linkage import cut_at, merge_groups
from glimpse.fewshot.groups.neighbors import Edges

_NO_COPIES = np.empty((0, 2), np.intp)


def _random_edges(count: int, seed: int) -> Edges:
    rng = np.random.default_rng(seed)
    left, right = np.triu_indices(count, 1)
    some = np.sort(rng.permutation(len(left))[: 4 * count])
    return Edges(left[some], right[some], rng.random(len(some)))


def _merged_greedily(edges: Edges, count: int, height: float) -> list[list[int]]:
    """Merges two groups that are the nearest of each other while any such pair has at least the height."""
    groups = {point: [point] for point in range(count)}
    weights = {(a, b): w for a, b, w in zip(*map(np.ndarray.tolist, edges), strict=True)}

    def similarity(pair: tuple[int, int]) -> float:
        return float(weights[pair] / (len(groups[pair[0]]) * len(groups[pair[1]])) ** linkage._POWER)

    def nearest(group: int) -> tuple[int, int]:
        return max((pair for pair in weights if group in pair), key=similarity)

    finished = False
    while not finished:
        finished = True
        pairs = {pair for pair in weights if nearest(pair[0]) == pair == nearest(pair[1])}
        for kept, joined in [pair for pair in pairs if similarity(pair) >= height][:1]:
            finished = False
            groups[kept] += groups.pop(joined)
            old, weights = weights, {}
            for pair, weight in old.items():
                renamed = tuple(sorted({kept if end == joined else end for end in pair}))
                if len(renamed) == 2:
                    weights[renamed[0], renamed[1]] = weights.get((renamed[0], renamed[1]), 0.0) + weight
    return sorted(sorted(group) for group in groups.values())


def test_the_cut_equals_merging_one_pair_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # Only with average linkage does a merge never bring the merged group nearer to a third one, so that order is free.
    monkeypatch.setattr(linkage, "_POWER", 1.0)
    for seed in range(3):
        edges = _random_edges(24, seed)
        merges = merge_groups(edges, 24, _NO_COPIES)
        for height in (2.0, 0.9, 0.5, 0.3):
            numbers = cut_at(merges, height, 24)
            groups = sorted(np.flatnonzero(numbers == group).tolist() for group in range(numbers.max() + 1))
            assert groups == _merged_greedily(edges, 24, height)


def test_lower_cuts_only_join_groups() -> None:
    edges = _random_edges(200, 0)
    merges = merge_groups(edges, 200, _NO_COPIES)
    cuts = [cut_at(merges, height, 200) for height in (0.8, 0.4, 0.1, 0.02, 0.0)]
    for fine, coarse in itertools.pairwise(cuts):
        assert len({(a, b) for a, b in zip(fine.tolist(), coarse.tolist(), strict=True)}) == fine.max() + 1
    assert cuts[-1].max() + 1 == 200 - len(merges.kept)


def test_equal_weights_merge_to_the_connected_parts() -> None:
    ring = np.arange(10)
    edges = Edges(np.concatenate([ring[:-1], ring[:1]]), np.concatenate([ring[1:], ring[-1:]]), np.ones(10))
    merges = merge_groups(edges, 12, _NO_COPIES)
    assert len(merges.kept) == 9
    assert cut_at(merges, 0.0, 12).tolist() == [0] * 10 + [1, 2]


def test_copies_are_together_in_every_cut() -> None:
    edges, copies = _random_edges(50, 0), np.array([[3, 9], [9, 20], [31, 40]])
    merges = merge_groups(edges, 50, copies)
    for height in (np.inf, 2.0, 0.3, 0.0):
        groups = cut_at(merges, height, 50)
        assert len(set(groups[[3, 9, 20]].tolist())) == len(set(groups[[31, 40]].tolist())) == 1
    assert cut_at(merges, 10.0, 50).max() + 1 == 47
