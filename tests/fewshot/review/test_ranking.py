from collections.abc import Iterator

import numpy as np
import pytest

from glimpse.fewshot.decision import Decision
from glimpse.fewshot.review import ranking
from glimpse.fewshot.review.ranking import rank_items, uncertainties
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, normalize
from glimpse.fewshot.types import Prediction


def _random(count: int, dimension: int, seed: int) -> Array:
    return normalize(np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32))


def _around(centres: Array, count: int, seed: int) -> Array:
    """Returns `count` unit vectors near each centre."""
    repeated = np.repeat(centres, count, axis=0)
    noise = np.random.default_rng(seed).standard_normal(repeated.shape).astype(np.float32)
    return normalize(repeated + np.float32(0.05) * noise)


def _brute_force(vectors: Array, uncertainty: Floats, enrolled: Array, labels: int) -> list[int]:
    """Computes every gain again at every step, in float64."""
    cosines = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    width = 0.4 * np.median(1 - cosines[np.triu_indices(len(vectors), 1)])
    kernel = np.exp((cosines - 1) / width)
    covered = np.exp((enrolled.astype(np.float64) @ vectors.T - 1) / width).max(0, initial=0)
    shots, order = max(1, len(enrolled) / labels), list[int]()
    while len(order) < len(vectors):
        gains = np.maximum(kernel - covered, 0) @ (1 + uncertainty / shots**2)
        gains[order] = -1
        order.append(int(gains.argmax()))
        covered = np.maximum(covered, kernel[order[-1]])
    return order


@pytest.mark.parametrize("examples", [0, 7])
def test_the_order_is_that_of_the_greedy_rule_without_shortcuts(examples: int) -> None:
    vectors, enrolled = _random(120, 8, 1), _random(examples, 8, 2) if examples else np.empty((0, 8), np.float32)
    uncertainty = np.random.default_rng(3).random(120)
    expected = _brute_force(vectors, uncertainty, enrolled, 3)
    assert rank_items(vectors, uncertainty, enrolled, 3).tolist() == expected


def test_dense_regions_come_first_each_once_and_outliers_late() -> None:
    centres = _random(3, 16, 4)
    dense = _around(centres, 20, 5)
    vectors = np.concatenate([_random(2, 16, 6), dense])
    order = rank_items(vectors, np.ones(62), np.empty((0, 16), np.float32), 0)
    assert sorted((order[:3] - 2) // 20) == [0, 1, 2]


def test_a_region_that_examples_cover_comes_last() -> None:
    centres = _random(2, 16, 7)
    vectors = _around(centres, 10, 8)
    order = rank_items(vectors, np.ones(20), centres[:1], 1)
    assert order[0] >= 10


def test_the_uncertain_one_of_two_like_regions_comes_first() -> None:
    vectors = normalize(np.repeat(_random(2, 16, 9), 10, axis=0))
    for certain in (0, 1):
        uncertainty = np.repeat([0.9, 0.9], 10)
        uncertainty[10 * certain : 10 * certain + 10] = 0.1
        assert rank_items(vectors, uncertainty, np.empty((0, 16), np.float32), 0)[0] // 10 == 1 - certain


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_any_number_of_queries_is_ranked_each_once(count: int) -> None:
    vectors = np.tile(_random(1, 4, 10), (count, 1)) if count else np.empty((0, 4), np.float32)
    order = rank_items(vectors, np.zeros(count), vectors, 1)
    assert sorted(order.tolist()) == list(range(count))


def test_more_queries_than_are_ranked_greedily_are_in_the_order_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_SAMPLE", 64)
    vectors, enrolled, uncertainty = _random(600, 8, 11), _random(5, 8, 12), np.ones(600)
    order = rank_items(vectors, uncertainty, enrolled, 5, first=10)
    assert sorted(order.tolist()) == list(range(600))
    assert order.tolist() == rank_items(vectors, uncertainty, enrolled, 5, first=10).tolist()
    assert order[:10].tolist() == rank_items(vectors, uncertainty, enrolled, 5, first=50)[:10].tolist()


def test_few_gains_are_computed_again_for_each_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, computed = _random(2000, 16, 13), 0
    compute = ranking._Coverage.kernels

    def counted(coverage: ranking._Coverage, members: Array) -> Iterator[Array]:
        nonlocal computed
        computed += len(members)
        return compute(coverage, members)

    monkeypatch.setattr(ranking, "_SAMPLE", 256)
    monkeypatch.setattr(ranking._Coverage, "kernels", counted)
    rank_items(vectors, np.ones(2000), vectors[:10], 10, first=50)
    # Each of the queries and examples once, and those that are computed again.
    assert 2010 + 50 <= computed < 2010 + 50 * 2000 / 20


def test_uncertainty_is_the_lead_of_the_best_label() -> None:
    predictions = [
        Prediction(Decision.MATCH, "", ["a", "b"], [], [0.9, 0.05]),
        Prediction(Decision.AMBIGUOUS, "", ["a", "b"], [], [0.4, 0.4]),
        Prediction(Decision.MATCH, "", ["a"], [], [1.0]),
        Prediction(Decision.UNKNOWN, "no candidate label"),
    ]
    assert uncertainties(predictions).tolist() == pytest.approx([0.15, 1.0, 0.0, 1.0])
