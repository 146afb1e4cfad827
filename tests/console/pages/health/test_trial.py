"""The comparison of two backbones, against a loop."""

import numpy as np
import pytest
from numpy.typing import NDArray

from glimpse.console.pages.health.trial import compare

Vectors = NDArray[np.float32]


def blobs(seed: int, spread: float, counts: tuple[int, ...] = (5, 7, 2, 1)) -> tuple[list[str], Vectors]:
    """Returns labels, and unit vectors around a centre of each."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(len(counts), 16))
    rows = [centres[label] + spread * rng.normal(size=16) for label, count in enumerate(counts) for _ in range(count)]
    values = np.array(rows, np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return [f"l{label}" for label, count in enumerate(counts) for _ in range(count)], values


def right_by_loop(labels: list[str], vectors: Vectors) -> list[bool]:
    """Returns whether each example of a label with two or more is nearest to its own label's mean of the others."""
    answers = []
    for place, label in enumerate(labels):
        if labels.count(label) == 1:
            continue
        cosines = {}
        for other in set(labels):
            rows = [row for row, name in enumerate(labels) if name == other and row != place]
            mean = vectors[rows].astype(float).sum(0)
            cosines[other] = float(vectors[place] @ mean / np.linalg.norm(mean))
        answers.append(max(cosines, key=cosines.__getitem__) == label)
    return answers


@pytest.mark.parametrize("seed", range(5))
def test_it_leaves_out_each_example(seed: int) -> None:
    labels, current = blobs(seed, 1.6)
    _, other = blobs(seed + 100, 0.8)
    trial = compare(labels, current, other)
    assert trial
    old, new = right_by_loop(labels, current), right_by_loop(labels, other)
    assert trial.count == len(old) == 14
    assert (trial.current, trial.other) == pytest.approx((np.mean(old), np.mean(new)))
    assert trial.gain == pytest.approx(np.mean(new) - np.mean(old))
    assert trial.low <= trial.gain <= trial.high


def test_equal_backbones_gain_nothing_and_the_interval_says_how_sure_that_is() -> None:
    labels, vectors = blobs(1, 1.0, (50, 50))
    trial = compare(labels, vectors, vectors)
    assert trial
    assert trial.gain == 0
    assert -0.05 < trial.low < 0 < trial.high < 0.05


def test_a_large_gain_is_beyond_chance() -> None:
    labels, good = blobs(2, 0.1, (30, 30, 30))
    bad = np.random.default_rng(3).normal(size=good.shape).astype(np.float32)
    trial = compare(labels, bad, good)
    assert trial
    assert trial.other == 1
    assert 0 < trial.low < trial.gain < trial.high <= 1


def test_labels_with_one_example_cannot_be_compared() -> None:
    vectors = np.eye(3, dtype=np.float32)
    assert compare(["a", "b", "c"], vectors, vectors) is None
    assert compare(["a", "a", "c"], vectors, vectors) is None
