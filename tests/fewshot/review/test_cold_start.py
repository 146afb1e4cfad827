"""Inputs for a cold start, against sets whose structure is known and against brute force."""

import numpy as np
import pytest

from glimpse.fewshot.review.cold_start import copy_sets, diverse, typical, typicality
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, normalize

_NO_PAIRS = np.empty((0, 2), np.intp)


def _clusters(sizes: list[int]) -> tuple[Array, Rows]:
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    noise = 0.1 * rng.standard_normal((len(rows), 16))
    return normalize((rng.standard_normal((len(sizes), 16))[rows] + noise).astype(np.float32)), rows


def test_a_diverse_sample_has_each_kind_once_before_any_twice() -> None:
    vectors, rows = _clusters([60, 5, 30, 8, 12])
    chosen = diverse(vectors, 5)
    assert sorted(rows[chosen].tolist()) == [0, 1, 2, 3, 4]
    assert rows[chosen[0]] == 0
    assert diverse(vectors, 3).tolist() == chosen[:3].tolist()
    assert sorted(diverse(vectors, 1000).tolist()) == list(range(115))


def test_typicality_is_the_mean_cosine_to_the_neighbours_that_exist() -> None:
    neighbors = np.array([[1, 2], [0, -1], [-1, -1]])
    cosines = np.array([[0.5, 0.1], [0.5, -1], [-1, -1]], np.float32)
    assert typicality(neighbors, cosines).tolist() == pytest.approx([0.3, 0.5, -1.0])


def test_groups_take_turns_with_their_most_typical_inputs() -> None:
    #                   0    1    2    3    4    5    6
    numbers = np.array([0, 0, 0, 1, 1, 2, 0])
    typicalities = np.array([0.1, 0.9, 0.5, 0.2, 0.3, 0.99, 0.4])
    assert typical(numbers, typicalities, _NO_PAIRS, 7).tolist() == [1, 4, 2, 3, 6, 0, 5]
    assert typical(numbers, typicalities, _NO_PAIRS, 2).tolist() == [1, 4]


def test_near_copies_of_chosen_inputs_come_last() -> None:
    numbers = np.array([0, 0, 0, 0, 1, 1])
    typicalities = np.array([0.9, 0.8, 0.7, 0.1, 0.6, 0.5])
    # 0, 1 and 2 in a chain: 1 is a copy of 0, and 2 of 1 alone, so 2 is none of a chosen input.
    assert typical(numbers, typicalities, np.array([[0, 1], [1, 2]]), 6).tolist() == [0, 4, 5, 2, 3, 1]
    assert typical(numbers, typicalities, np.array([[0, 1], [1, 2], [0, 2]]), 6).tolist() == [0, 4, 5, 3, 1, 2]


def test_sets_of_copies_are_the_connected_components() -> None:
    rng = np.random.default_rng(3)
    count = 300
    pairs = np.sort(rng.integers(0, count, (220, 2)), 1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    expected = [{point} for point in range(count)]
    for left, right in pairs.tolist():
        first, second = (next(one for one in expected if point in one) for point in (left, right))
        if first is not second:
            expected.remove(second)
            first |= second
    sets = [members.tolist() for members in copy_sets(pairs, count)]
    assert sorted(sets) == sorted(sorted(one) for one in expected if len(one) > 1)
    assert [len(one) for one in sets] == sorted(map(len, sets), reverse=True)
    # A long chain in the worst order of its numbers.
    chain = rng.permutation(count)
    [whole] = copy_sets(np.column_stack([chain[:-1], chain[1:]]), count)
    assert whole.tolist() == list(range(count))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_inputs_can_be_sampled_too(count: int) -> None:
    vectors, numbers = _clusters([2])[0][:count], np.zeros(count, np.intp)
    assert len(diverse(vectors, 5)) == count
    assert len(typical(numbers, np.zeros(count), _NO_PAIRS, 5)) == count
    assert copy_sets(_NO_PAIRS, count) == []
