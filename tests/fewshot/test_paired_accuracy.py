"""The comparison of two embeddings of the same examples, against the fits of each."""

import numpy as np
import pytest

from glimpse.fewshot import Examples, HeadKind, fit
from glimpse.fewshot.paired_accuracy import compare_embeddings
from glimpse.fewshot.statistics.confidence_interval import paired_difference_interval
from glimpse.fewshot.statistics.unit_vectors import Array, Rows

_LABELS = ("a", "b", "c", "d")


def blobs(seed: int, spread: float, each: int = 12, dimension: int = 16) -> Array:
    """Returns unit vectors around one centre for each of four labels."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(len(_LABELS), dimension)), each, axis=0)
    values = centres + spread * rng.normal(size=centres.shape)
    return np.asarray(values / np.linalg.norm(values, axis=1, keepdims=True), np.float32)


def examples(vectors: Array, groups: Rows | None = None) -> Examples:
    return Examples(vectors, np.repeat(np.arange(len(_LABELS)), len(vectors) // len(_LABELS)), _LABELS, groups=groups)


@pytest.mark.parametrize("pinned", [None, HeadKind.CLASS_MEAN])
def test_each_accuracy_is_that_of_the_head_that_would_answer(pinned: HeadKind | None) -> None:
    before, after = examples(blobs(0, 1.4)), examples(blobs(1, 0.8, dimension=24))
    measured = compare_embeddings(before, after, pinned)
    assert measured
    fits = [fit(one, pinned) for one in (before, after)]
    correct = [one.evaluations[one.chosen].correct for one in fits]
    assert (measured.count, measured.first, measured.second) == (48, *correct)
    assert measured.gain == pytest.approx((correct[1] - correct[0]) / 48)
    assert measured.low <= measured.gain <= measured.high


def test_a_large_gain_is_beyond_chance_and_an_equal_embedding_gains_nothing() -> None:
    good, noise = examples(blobs(0, 0.7)), examples(blobs(1, 50.0))
    gain = compare_embeddings(noise, good)
    assert gain
    assert gain.low > 0.3
    same = compare_embeddings(good, good)
    assert same
    assert (same.gain, same.first) == (0, same.second)
    assert -0.06 < same.low < 0 < same.high < 0.06


def test_only_examples_that_both_can_leave_out_are_compared() -> None:
    before, after = blobs(0, 0.5), blobs(1, 0.5)
    after[:12] = after[0]  # copies of one another, which are left out together: no other example of `a` is left
    measured = compare_embeddings(examples(before), examples(after))
    assert measured
    assert measured.count == 36
    nothing = examples(np.repeat(after[::12], 12, axis=0))
    assert compare_embeddings(examples(before), nothing) is None


def test_a_group_is_left_out_as_a_whole() -> None:
    rng = np.random.default_rng(3)
    # Similar pairs in random places: alone they find each other, as a group nothing.
    vectors = np.repeat(rng.normal(size=(24, 16)), 2, axis=0) + 0.35 * rng.normal(size=(48, 16))
    unit = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
    pairs = np.repeat(np.arange(24), 2)
    alone = compare_embeddings(examples(unit), examples(unit), HeadKind.NEIGHBORS)
    together = compare_embeddings(examples(unit, pairs), examples(unit, pairs), HeadKind.NEIGHBORS)
    assert alone
    assert together
    assert alone.first > together.first + 15


def test_the_interval_of_a_published_table() -> None:
    """Approval of a prime minister in two surveys of 1,600 (Agresti, Categorical Data Analysis, 2002, 10.1.1)."""
    low, high = paired_difference_interval(150, 86, 1600)
    assert (low, high) == pytest.approx((0.021, 0.059), abs=0.001)
    assert paired_difference_interval(86, 150, 1600) == pytest.approx((-high, -low))


def test_the_interval_stays_within_its_range() -> None:
    assert paired_difference_interval(3, 0, 3)[1] <= 1
    assert paired_difference_interval(0, 0, 1)[0] < 0 < paired_difference_interval(0, 0, 1)[1]
