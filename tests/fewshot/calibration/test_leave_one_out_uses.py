"""Tests what leave-one-out is used for: temperature, kernel ridge, and inputs out of distribution."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.fewshot import (
    Decision,
    DecisionSettings,
    Examples,
    FewShotClassifier,
    Fitted,
    HeadKind,
    NearestSimilarities,
    Policy,
    fit,
    predict,
)
from glimpse.fewshot.calibration.calibration import best_temperature, log_loss
from glimpse.fewshot.calibration.leave_one_out import leave_one_out
from glimpse.fewshot.calibration.open_set import (
    PooledGaussian,
    Typicality,
    nearest_other_similarities,
    nearest_similarities,
)
from glimpse.fewshot.heads.kernel_ridge import BETAS, RIDGES, KernelRidge
from glimpse.fewshot.heads.knn import votes
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import normalize

Array = npt.NDArray[np.float32]


def blobs(seed: int, n: int, labels: int = 3, d: int = 8, noise: float = 0.6) -> tuple[Array, npt.NDArray[np.intp]]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(labels, d))
    rows = rng.integers(0, labels, n)
    return normalize((centres[rows] + noise * rng.normal(size=(n, d))).astype(np.float32)), rows.astype(np.intp)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 20))
def test_the_temperature_is_the_best_of_a_fine_grid(seed: int, heat: float) -> None:
    rng = np.random.default_rng(seed)
    scores, rows = heat * rng.normal(size=(40, 5)), rng.integers(0, 5, 40)
    scores[np.arange(40), rows] += heat
    found = best_temperature(scores, rows)
    grid = min(log_loss(scores / heat_, rows) for heat_ in np.exp(np.linspace(np.log(1e-3), np.log(1e3), 600)))
    assert log_loss(scores / found, rows) <= grid + 1e-4


def test_examples_that_are_all_predicted_correctly_do_not_promise_certainty() -> None:
    rows = np.arange(6) % 3
    scores = np.eye(3)[rows]
    probabilities = np.exp(scores[0] / best_temperature(scores, rows))
    assert 0.8 < probabilities[0] / probabilities.sum() < 0.95  # 6 right of 6: not more than 7 of 8


def test_a_label_without_another_example_takes_no_part() -> None:
    scores = np.array([[2.0, 1.0, -np.inf], [0.5, 3.0, 0.1], [1.0, 1.0, -np.inf]])
    assert log_loss(scores, np.array([0, 1, 2])) == pytest.approx(log_loss(scores[:2], np.array([0, 1])))
    assert log_loss(scores[2:], np.array([2])) == 0
    assert np.isfinite(best_temperature(scores, np.array([0, 1, 2])))


def test_equal_scores_give_no_certainty() -> None:
    rows = np.zeros(5, np.intp)
    assert best_temperature(np.ones((5, 1)), rows) == best_temperature(np.ones((5, 3)), rows) == 1
    rng = np.random.default_rng(0)
    same = np.repeat(rng.normal(size=(40, 1)), 2, axis=1)  # two labels whose scores are always equal
    assert best_temperature(same, np.arange(40) % 2) > 100


def test_scores_of_any_size_have_their_temperature() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 5, 100)
    scores = rng.normal(size=(100, 5)) + np.eye(5)[rows]
    assert best_temperature(1e6 * scores, rows) == pytest.approx(1e6 * best_temperature(scores, rows), rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 25))
def test_kernel_ridge_left_out_equals_leaving_out(seed: int, n: int) -> None:
    vectors, rows = blobs(seed, n)
    fitted = KernelRidge.fit(vectors, rows, 3)
    kernel = np.exp(-fitted.beta * (1 - (vectors @ vectors.T).astype(np.float64)))
    target = np.eye(3)[rows]

    def without(out: npt.NDArray[np.bool_], i: int) -> npt.NDArray[np.float64]:
        rest = np.flatnonzero(~out)
        weights = np.linalg.solve(kernel[np.ix_(rest, rest)] + fitted.ridge * np.eye(len(rest)), target[rest])
        return np.asarray(kernel[i, rest] @ weights, np.float64)

    for i in range(n):
        assert fitted.left_out[i] == pytest.approx(without(np.arange(n) == i, i), abs=1e-5)
        assert fitted.label_left_out[i] == pytest.approx(without(rows == rows[i], i), abs=1e-5)
    inside = np.linalg.solve(kernel + fitted.ridge * np.eye(n), target)
    assert fitted.scores(vectors) == pytest.approx(kernel @ inside, abs=1e-4)


@pytest.mark.parametrize("noise", [0.05, 0.3, 0.6, 1.2])
def test_kernel_ridge_has_the_least_error_of_leaving_out(noise: float) -> None:
    vectors, rows = blobs(1, 120, noise=noise)
    groups, target, errors = np.arange(120) // 2, np.eye(3)[rows], {}
    cosines = (vectors @ vectors.T).astype(np.float64)
    for beta, ridge in itertools.product(BETAS, RIDGES):
        whole = np.linalg.inv(np.exp(-beta * (1 - cosines)) + ridge * np.eye(120))
        pairs = [slice(start, start + 2) for start in range(0, 120, 2)]
        residuals = [np.linalg.solve(whole[pair, pair], (whole @ target)[pair]) for pair in pairs]
        errors[beta, ridge] = float(np.mean(np.square(residuals)))
    fitted = KernelRidge.fit(vectors, rows, 3, groups)
    assert (fitted.beta, fitted.ridge) == min(errors, key=errors.__getitem__)


def test_votes_are_softmax_over_the_neighbours() -> None:
    found = votes([[0.9, 0.8, 0.2], [0.5, 0.0, 0.0]], np.array([[1, 0, 1], [2, -1, -1]]), 3)
    weights = np.exp(np.array([0.9, 0.8, 0.2]) / 0.07)
    weights /= weights.sum()
    assert found[0] == pytest.approx([weights[1], weights[0] + weights[2], 0], abs=1e-6)
    assert found[1].tolist() == [0, 0, 1]
    assert votes(np.empty((2, 0)), np.empty((2, 0), np.intp), 3).tolist() == [[0] * 3] * 2


def test_the_nearest_other_is_never_oneself() -> None:
    vectors, _ = blobs(0, 300)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    some, rows = np.arange(0, 300, 2), np.arange(300) % 4
    nearest, of_other_labels = nearest_other_similarities(vectors, rows, some)
    assert nearest == pytest.approx(cosines.max(1)[some], abs=1e-6)
    cosines[rows[:, None] == rows] = -1
    assert of_other_labels == pytest.approx(cosines.max(1)[some], abs=1e-6)
    alone = nearest_other_similarities(vectors[:1], rows[:1], np.array([0]))
    assert [one.tolist() for one in alone] == [[-1], [-1]]
    assert nearest_similarities(vectors, vectors[:1]) == pytest.approx(vectors @ vectors[0], abs=1e-6)
    assert nearest_similarities(vectors[:0], vectors).shape == (0,)
    assert nearest_similarities(vectors[:2], vectors[:0]).tolist() == [-1, -1]


def fitted_to(vectors: Array, rows: npt.NDArray[np.intp]) -> Fitted:
    names, places = np.unique(rows, return_inverse=True)
    return fit(Examples(vectors, places.astype(np.intp), [f"l{int(name)}" for name in names]))


@pytest.mark.filterwarnings("error")
def test_the_loneliest_collections_can_be_fitted() -> None:
    vectors, _ = blobs(0, 6)
    for rows in (np.zeros(1), np.zeros(2), np.arange(6), np.array([0, 0, 0, 0, 0, 1])):
        fitted = fitted_to(vectors[: len(rows)], rows.astype(np.intp))
        for evaluation in fitted.evaluations.values():
            assert evaluation.temperature > 0
            assert np.isfinite(evaluation.typicality.fits).all()
    copies = fitted_to(np.repeat(vectors[:3], 5, axis=0), np.repeat(np.arange(3), 5))
    assert copies.chosen is HeadKind.CLASS_MEAN
    assert copies.evaluations[HeadKind.CLASS_MEAN].typicality.count == 0


@pytest.mark.parametrize("noise", [0.5, 1e-2, 1e-3])
def test_near_copies_are_measured_as_exactly_as_others(noise: float) -> None:
    rng = np.random.default_rng(0)
    centres = normalize(rng.normal(size=(10, 64)).astype(np.float32))
    rows = np.repeat(np.arange(10), 12).astype(np.intp)
    vectors = normalize((centres[rows] + noise / 8 * rng.normal(size=(120, 64))).astype(np.float32))
    queries = normalize((centres[rows] + noise / 8 * rng.normal(size=(120, 64))).astype(np.float32))
    engine = FewShotClassifier(64)
    labels = [f"l{row}" for row in range(10)]
    engine.add([labels[row] for row in rows], vectors)
    engine.adopt(fit(Examples(vectors, rows, labels)), engine.begin())
    near = NearestSimilarities(nearest_similarities(queries, vectors), np.full(len(queries), -1.0))
    found = predict(engine, queries, near, DecisionSettings(Policy(), 1.0), 1)
    assert np.mean([one.decision is Decision.UNKNOWN for one in found.predictions]) < 0.1


@pytest.mark.parametrize("together", [0.0, 0.95])
@pytest.mark.parametrize("target", [0.05, 0.2])
def test_known_inputs_are_rejected_at_the_target_rate(together: float, target: float) -> None:
    """Holds for correlated and independent measures, in any units."""
    rng = np.random.default_rng(1)
    units = np.array([100.0, 0.1, 1.0])

    def some(n: int, shift: float = 0.0) -> npt.NDArray[np.float64]:
        shared, own = rng.normal(size=(n, 1)), rng.normal(size=(n, 3))
        return np.asarray((np.sqrt(together) * shared + np.sqrt(1 - together) * own - shift) * units, np.float64)

    rejected: list[float] = []
    outside: list[float] = []
    for _ in range(60):
        typical = Typicality.of(some(80))
        for shift, found in ((0.0, rejected), (5.0, outside)):
            found.append(float((typical.p_values(typical.combined_fits(some(200, shift))) <= target).mean()))
    assert np.mean(rejected) == pytest.approx(target, abs=0.02)
    assert np.mean(outside) > 0.95
    assert typical.p_values(typical.combined_fits(np.full((1, 3), -1e6)))[0] == pytest.approx(1 / 81)
    assert Typicality.of(np.empty((0, 3))).p_values(np.zeros(1))[0] == 1  # no example to compare with


@pytest.mark.parametrize(("count", "counts"), [(29, False), (30, True)])
def test_the_relative_distance_counts_from_thirty_examples(count: int, counts: bool) -> None:
    rng = np.random.default_rng(3)
    typical = Typicality.of(rng.normal(size=(count, 3)))
    measures = rng.normal(size=(5, 3))
    far = measures - [100, 0, 0]
    assert (typical.combined_fits(far) < typical.combined_fits(measures) - 50).all() == counts
    assert (typical.combined_fits(far) == typical.combined_fits(measures)).all() != counts
    assert (typical.combined_fits(measures - [0, 100, 0]) < typical.combined_fits(measures) - 50).all()


def test_the_background_left_out_is_that_of_the_others() -> None:
    vectors, rows = blobs(3, 30)
    moments = Moments(8)
    moments.add_all([f"l{row}" for row in rows], vectors)
    pooled = moments.pooled()
    metric = Metric.of(pooled)
    ridge = metric.ridge
    found = leave_one_out(pooled, metric, vectors, np.zeros_like(rows)).own
    for i in range(len(rows)):
        rest = np.delete(vectors, i, 0).astype(np.float64)
        gaps, gap = rest - rest.mean(0), vectors[i] - rest.mean(0)
        wanted = (8 + 29) * gap @ np.linalg.inv(gaps.T @ gaps + ridge * np.eye(8)) @ gap
        assert found[i] == pytest.approx(wanted, rel=1e-6)
    covered = PooledGaussian.of(pooled, metric)
    gaps = vectors.astype(np.float64) - vectors.mean(0)
    plain = (8 + 29) * np.linalg.inv(gaps.T @ gaps + ridge * np.eye(8))
    assert covered.distances(vectors) == pytest.approx(np.einsum("nd,de,ne->n", gaps, plain, gaps), rel=1e-4)
