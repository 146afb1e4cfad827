"""Tests shrinkage LDA and its leave-one-out against fitting from scratch and against scikit-learn."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from glimpse.fewshot.calibration.leave_one_out import leave_one_out
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import normalize

Array = npt.NDArray[np.float32]


def examples(seed: int, n: int, labels: int = 4, d: int = 12) -> tuple[Array, list[str]]:
    rng = np.random.default_rng(seed)
    names = [f"l{i}" for i in rng.integers(0, labels, n)]
    centres = {name: rng.normal(size=d) for name in sorted(set(names))}
    rows = np.array([centres[name] + 0.7 * rng.normal(size=d) for name in names], np.float32)
    return normalize(rows), names


def plain_scores(vectors: Array, names: list[str], queries: Array, ridge: float | None = None) -> dict[str, Array]:
    """Computes the scores from the definition: Sigma = (1 - lam) W / nu + lam t I."""
    x, d = vectors.astype(np.float64), vectors.shape[1]
    labels = sorted(set(names))
    member = np.array([[one == label for one in names] for label in labels])
    means = np.array([x[row].mean(0) for row in member])
    residuals = x - means[[labels.index(one) for one in names]]
    scatter, nu = residuals.T @ residuals, len(names) - len(labels)
    if nu == 0 or np.trace(scatter) < 1e-9:
        precision = np.eye(d)
    elif ridge is None:
        lam, t = d / (d + nu), np.trace(scatter) / (nu * d)
        precision = np.linalg.inv((1 - lam) * scatter / nu + lam * t * np.eye(d))
    else:
        precision = (d + nu) * np.linalg.inv(scatter + ridge * np.eye(d))
    scores = queries @ precision @ means.T - 0.5 * np.einsum("cd,de,ce->c", means, precision, means)
    return dict(zip(labels, scores.T, strict=True))


def head_of(vectors: Array, names: list[str]) -> LdaHead:
    head = LdaHead(vectors.shape[1])
    for vector, name in zip(vectors, names, strict=True):
        head.add(name, vector)
    return head


def table(head: LdaHead, queries: Array) -> dict[str, Array]:
    return dict(zip(head.labels, head.scores(queries).T, strict=True))


def assert_equal(found: dict[str, Array], wanted: dict[str, Array], tolerance: float = 1e-5) -> None:
    """Compares scores up to a term that all labels share."""
    assert found.keys() == wanted.keys()
    found, wanted = ({name: row - sum(one.values()) / len(one) for name, row in one.items()} for one in (found, wanted))
    for label, scores in wanted.items():
        assert found[label] == pytest.approx(scores, rel=tolerance, abs=tolerance)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_a_new_inversion_equals_the_formula(seed: int, n: int) -> None:
    vectors, names = examples(seed, n)
    queries = normalize(np.random.default_rng(seed).normal(size=(5, 12)).astype(np.float32))
    head = head_of(vectors, names)
    head.adopt(Metric.of(head.moments))
    assert_equal(table(head, queries), plain_scores(vectors, names, queries))


@pytest.mark.parametrize("shots", [2, 5, 40])
def test_it_is_scikit_learns_lda_at_that_shrinkage(shots: int) -> None:
    """scikit-learn's covariance is W / N, ours is W / (N - C); with equal shots they differ by a factor."""
    rng = np.random.default_rng(shots)
    rows = np.repeat(np.arange(6), shots)
    vectors = normalize((rng.normal(size=(6, 12))[rows] + 0.7 * rng.normal(size=(len(rows), 12))).astype(np.float32))
    queries = normalize(rng.normal(size=(20, 12)).astype(np.float32))
    head = head_of(vectors, [f"l{row}" for row in rows])
    head.adopt(Metric.of(head.moments))
    freedom = len(rows) - 6
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=12 / (12 + freedom)).fit(vectors, rows)
    wanted = theirs.decision_function(queries) * freedom / len(rows)
    found = head.scores(queries)
    assert found - found.mean(1, keepdims=True) == pytest.approx(
        wanted - wanted.mean(1, keepdims=True), rel=1e-3, abs=1e-3
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 40), st.integers(1, 20))
def test_online_equals_batch_at_the_same_ridge(seed: int, before: int, more: int) -> None:
    vectors, names = examples(seed, before + more)
    queries = normalize(np.random.default_rng(seed).normal(size=(5, 12)).astype(np.float32))
    head = head_of(vectors[:before], names[:before])
    metric = Metric.of(head.moments)
    head.adopt(metric)
    for vector, name in zip(vectors[before:], names[before:], strict=True):
        head.add(name, vector)
    wanted = plain_scores(vectors, names, queries, metric.ridge if metric.freedom else None)
    if metric.freedom:
        assert_equal(table(head, queries), wanted)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(30)), st.integers(1, 30))
def test_what_is_deleted_leaves_no_trace(seed: int, order: list[int], kept: int) -> None:
    vectors, names = examples(seed, 30)
    head = head_of(vectors[order], [names[i] for i in order])
    head.adopt(Metric.of(head.moments))
    for i in order[kept:]:
        head.remove(names[i], vectors[i])
    direct = head_of(vectors[order[:kept]], [names[i] for i in order[:kept]])
    queries = vectors[:4]
    for one in (head, direct):
        one.adopt(Metric.of(one.moments))
    assert_equal(table(head, queries), table(direct, queries))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.sets(st.sampled_from(["l0", "l1", "l2", "l3", "l4"])))
def test_leave_one_out_equals_leaving_one_out(seed: int, n: int, with_text: set[str]) -> None:
    vectors, names = examples(seed, n)
    texts = dict(zip(sorted(with_text), examples(seed + 1, 5)[0], strict=False))

    def moments_of(rows: list[int]) -> Moments:
        moments = Moments(12)
        moments.add_all([names[i] for i in rows], vectors[rows])
        for label, text in texts.items():
            moments.set_text(label, text)
        return moments

    moments = moments_of(list(range(n)))
    metric = Metric.of(moments)
    if not metric.freedom:
        return
    scale = 12.0 + moments.freedom
    rows = np.array([moments.row(name) for name in names], np.intp)
    found = leave_one_out(moments, metric, vectors, rows)
    spread, origin = found.spread, moments.centres.mean(0)
    for i in range(n):
        rest = moments_of([j for j in range(n) if j != i])
        inverse = np.linalg.inv(rest.scatter() + metric.ridge * np.eye(12))
        pulls = np.where(rest.shots > rest.counts, 0.0, spread.pull)
        centres = (rest.shots / (rest.shots + pulls))[:, None] * (rest.centres - origin)
        noise, value = spread.noise(rest), vectors[i] - origin
        for column, label in enumerate(moments.labels):
            row = rest.row(label)
            if row is None:
                assert found.scores[i, column] == -np.inf
                continue
            score = scale * (value @ inverse @ centres[row] - 0.5 * centres[row] @ inverse @ centres[row])
            score += 0.5 * noise[row]
            assert found.scores[i, column] == pytest.approx(score, rel=1e-5, abs=1e-5)
        gaps = value - centres
        nearest = (scale * np.einsum("cd,de,ce->c", gaps, inverse, gaps) - noise).min()
        assert found.distances[i] == pytest.approx(nearest, rel=1e-6, abs=1e-6)


def test_text_answers_before_examples_and_with_them() -> None:
    vectors, names = examples(0, 12)
    head = LdaHead(12)
    head.set_text("l0", vectors[0])
    head.set_text("l1", vectors[1])
    assert head.scores(vectors[:2]).argmax(1).tolist() == [0, 1]
    for vector, name in zip(vectors, names, strict=True):
        head.add(name, vector)
    head.set_text("l0", None)
    head.set_text("l1", None)
    head.set_text("none", None)
    head.adopt(Metric.of(head.moments))
    assert_equal(table(head, vectors), plain_scores(vectors, names, vectors))
    for i in range(40):
        head.set_text(f"t{i}", vectors[i % 12])
    assert head.scores(vectors).shape == (12, len(set(names)) + 40)
    with pytest.raises(KeyError):
        head.remove("t3", vectors[3])
    for i in range(40):
        head.set_text(f"t{i}", None)
    assert_equal(table(head, vectors), plain_scores(vectors, names, vectors))
    head.set_text("other", vectors[3])
    assert "other" in head.labels
    head.set_text("other", None)
    assert "other" not in head.labels


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(12, 40), st.booleans())
def test_few_examples_are_pulled_to_the_mean_of_all_labels(seed: int, n: int, with_text: bool) -> None:
    """Compares with the definition; a label with text has its text in the place of the pull."""
    vectors, names = examples(seed, n)
    head = head_of(vectors, names)
    if with_text:
        head.set_text("l0", examples(seed + 1, 1)[0][0])
    moments, metric = head.moments, Metric.of(head.moments)
    rows = np.array([moments.row(name) for name in names], np.intp)
    spread = leave_one_out(moments, metric, vectors, rows).spread
    assert spread.pull == pytest.approx(np.sqrt(spread.examples / spread.labels))
    head.adopt(metric, spread)
    queries = normalize(np.random.default_rng(seed).normal(size=(5, 12)).astype(np.float32))
    precision, origin = metric.scale * metric.inverse, moments.centres.mean(0)
    wanted = []
    for row, label in enumerate(moments.labels):
        count, centre = moments.counts[row], moments.centre(row) - origin
        far = (count * spread.examples + spread.pull**2 * spread.labels) / (count + spread.pull) ** 2
        if label in moments.texts:
            far = (count * spread.examples + 4 * spread.texts) / (count + 2) ** 2
        else:
            centre *= count / (count + spread.pull)
        wanted.append((queries - origin) @ precision @ centre - 0.5 * centre @ precision @ centre + 0.5 * far)
    assert head.scores(queries) == pytest.approx(np.array(wanted).T, rel=1e-4, abs=1e-3)
    columns = np.tile(np.arange(len(wanted)), (5, 1))
    assert head.scores_of(queries, columns) == pytest.approx(np.array(wanted).T, rel=1e-4, abs=1e-3)
    # One more example and its removal change nothing.
    head.add(names[0], vectors[1])
    head.remove(names[0], vectors[1])
    assert head.scores(queries) == pytest.approx(np.array(wanted).T, rel=1e-4, abs=1e-3)


def test_labels_of_few_shots_do_not_lose_for_being_few() -> None:
    """Uses blobs of equal spread in many dimensions, half of them with 1 example and half with 16."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(10, 128))
    shots = [1, 16] * 5
    rows = np.repeat(np.arange(10), shots)
    vectors = normalize((centres[rows] + 1.3 * rng.normal(size=(len(rows), 128))).astype(np.float32))
    truth = np.repeat(np.arange(10), 100)
    queries = normalize((centres[truth] + 1.3 * rng.normal(size=(1_000, 128))).astype(np.float32))
    head = LdaHead(128)
    head.moments.add_all([f"l{row}" for row in rows], vectors)
    metric = Metric.of(head.moments)
    head.adopt(metric)
    plain = head.scores(queries).argmax(1) == truth
    found = leave_one_out(head.moments, metric, vectors, rows)
    head.adopt(metric, found.spread)
    corrected = head.scores(queries).argmax(1) == truth
    few = truth % 2 == 0
    assert plain[few].mean() < 0.5
    assert corrected[few].mean() > 0.8
    assert corrected.mean() > plain.mean() + 0.15
