"""Tests unit vectors, and the head that scores by cosines to class means."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.fewshot import mean_direction, normalize
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.heads.class_mean import ClassMeanHead, leave_one_out_class_mean
from glimpse.fewshot.statistics.class_statistics import Moments

Array = npt.NDArray[np.float32]


def unit_rows(seed: int, n: int, d: int = 16) -> Array:
    return normalize(np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32))


def moments_of(vectors: Array, labels: list[str], texts: dict[str, Array] | None = None) -> Moments:
    moments = Moments(vectors.shape[1])
    moments.add_all(labels, vectors)
    for label, text in (texts or {}).items():
        moments.set_text(label, text)
    return moments


@given(st.integers(0, 10_000), st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=60))
def test_scores_are_cosines_to_class_means(seed: int, labels: list[str]) -> None:
    vectors, queries = unit_rows(seed, len(labels)), unit_rows(seed + 1, 4)
    moments = moments_of(vectors, labels)
    scores = ClassMeanHead(moments).scores(queries)
    rows = np.tile(np.arange(len(moments.labels)), (4, 1))
    assert ClassMeanHead(moments).scores_of(queries, rows) == pytest.approx(scores, abs=1e-6)
    for column, label in enumerate(moments.labels):
        mean = vectors[[one == label for one in labels]].astype(np.float64).mean(0)
        assert scores[:, column] == pytest.approx(queries @ (mean / np.linalg.norm(mean)), abs=1e-5)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 20), st.booleans())
def test_left_out_equals_leaving_out(seed: int, n: int, with_text: bool) -> None:
    vectors, labels = unit_rows(seed, n), [f"l{i % 4}" for i in range(n)]
    texts = {"l0": unit_rows(seed + 1, 1)[0]} if with_text else {}
    moments = moments_of(vectors, labels, texts)
    rows = np.array([moments.row(label) for label in labels], np.intp)
    found = leave_one_out_class_mean(moments, vectors, rows)
    for i in range(n):
        rest = moments_of(np.delete(vectors, i, 0), labels[:i] + labels[i + 1 :], texts)
        row = rest.row(labels[i])
        if row is None:
            assert found[i, rows[i]] == -np.inf
        else:
            wanted = ClassMeanHead(rest).scores(vectors[i : i + 1])[0, row]
            assert found[i, rows[i]] == pytest.approx(wanted, abs=1e-5)


def test_opposite_examples_score_nothing() -> None:
    vector = unit_rows(0, 1)
    head = ClassMeanHead(moments_of(np.concatenate([vector, -vector]), ["a", "a"]))
    assert head.scores(vector).tolist() == [[0]]


def test_it_follows_what_changes() -> None:
    vectors = unit_rows(0, 30)
    moments = Moments(16)
    head = ClassMeanHead(moments)
    for i, vector in enumerate(vectors):
        moments.add(f"l{i}", vector)
        head.refresh([f"l{i}"])
    assert head.scores(vectors).argmax(1).tolist() == list(range(30))
    moments.remove("l3", vectors[3])
    head.refresh_all()
    assert "l3" not in [moments.labels[column] for column in head.scores(vectors).argmax(1)]


def test_probabilities_are_steady() -> None:
    scores = np.array([[0.9, 0.1, -0.5], [100.9, 100.1, 99.5]], np.float32)
    for scale in (1.0, 100.0):
        probabilities = softmax(scores, scale)
        assert probabilities.sum(1) == pytest.approx([1, 1])
        assert probabilities[0] == pytest.approx(probabilities[1], rel=1e-3)
    assert probabilities[0, 0] == pytest.approx(1)


def test_a_mean_direction_is_the_renormalised_mean() -> None:
    rows = unit_rows(0, 5)
    assert np.linalg.norm(mean_direction(rows)) == pytest.approx(1)
    assert mean_direction(rows) @ rows.mean(0) == pytest.approx(np.linalg.norm(rows.mean(0)), abs=1e-6)


@pytest.mark.parametrize("bad", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_a_vector_without_direction_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="no direction"):
        normalize(np.array([[1.0, 0.0], bad], np.float32))
