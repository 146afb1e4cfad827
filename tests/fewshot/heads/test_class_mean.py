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
    scores = ClassMeanHead(moments).scores(queries, centred=False)
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
            wanted = ClassMeanHead(rest).scores(vectors[i : i + 1], centred=False)[0, row]
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


def shared(seed: int, labels: int, pull: float = 2.0) -> Array:
    """Returns unit vectors that share a large mean."""
    rng = np.random.default_rng(seed)
    return normalize((rng.normal(size=(labels, 16)) + pull * np.ones(16)).astype(np.float32))


@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from([0.0, 1.0, 4.0]))
def test_one_shot_scores_are_cosines_after_shrunk_centring(seed: int, count: int, pull: float) -> None:
    vectors, queries = shared(seed, count, pull), unit_rows(seed + 1, 4)
    head = ClassMeanHead(moments_of(vectors, [f"l{i}" for i in range(count)]))
    values = vectors.astype(np.float64)
    mean = values.mean(0)
    pairs = (values @ values.T)[~np.eye(count, dtype=bool)]
    middle = mean * np.clip(pairs.mean() / (mean @ mean), 0, 1)
    centred, asked = (part - middle for part in (values, queries))
    wanted = (asked / np.linalg.norm(asked, axis=1)[:, None]) @ (centred / np.linalg.norm(centred, axis=1)[:, None]).T
    assert head.scores(queries) == pytest.approx(wanted, abs=1e-4)


def test_centring_ends_with_a_second_example_or_a_text_and_returns() -> None:
    vectors, queries = shared(0, 6), unit_rows(1, 3)
    moments = moments_of(vectors[:5], list("abcde"))
    head = ClassMeanHead(moments)
    before = head.scores(queries)
    assert head.centring is not None
    moments.add("a", vectors[5])
    head.refresh(["a"])
    assert head.centring is None
    moments.remove("a", vectors[5])
    head.refresh(["a"])
    assert head.scores(queries) == pytest.approx(before, abs=1e-6)
    moments.set_text("b", vectors[5])
    head.refresh(["b"])
    assert head.centring is None


def test_centring_finds_labels_that_a_shared_mean_hides() -> None:
    """Most of every vector is the same for all labels, and examples differ in how much of it they have."""
    rng = np.random.default_rng(0)
    own, middle = rng.normal(size=(40, 64)), 3 * rng.normal(size=64)
    lengths = rng.uniform(0.3, 3, size=(40, 1))
    vectors = normalize((middle + lengths * own).astype(np.float32))
    queries = normalize((middle + own + 2 * rng.normal(size=own.shape)).astype(np.float32))
    head = ClassMeanHead(moments_of(vectors, [f"l{i}" for i in range(40)]))
    right, plain = (head.scores(queries, centred=way).argmax(1) == np.arange(40) for way in (True, False))
    assert right.mean() > plain.mean() + 0.1
    assert head.centring is not None
    assert 0.02 < head.centring.temperature < 0.5
