"""Tests the regression on attributes that add up, against its definition in d dimensions."""

import numpy as np
import numpy.typing as npt
import pytest

from glimpse.fewshot import Examples, fit, normalize
from glimpse.fewshot.calibration.independent_labels import IndependentCalibration
from glimpse.fewshot.heads.additive_model import MOST_EXAMPLES, AdditiveModel, AttributeRegression
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.heads.kernel_ridge import KernelRidge

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
D, LABELS = 24, 7
EFFECTS = np.random.default_rng(5).normal(size=(LABELS, D))


def things(seed: int, count: int) -> tuple[npt.NDArray[np.float32], Floats]:
    """Returns inputs with one of 4 colours and one of 3 shapes, whose effects add up, and their labels."""
    rng = np.random.default_rng(seed)
    holds = np.zeros((count, LABELS))
    holds[np.arange(count), rng.integers(4, size=count)] = 1
    holds[np.arange(count), 4 + rng.integers(3, size=count)] = 1
    return normalize((holds @ EFFECTS + rng.normal(size=(count, D))).astype(np.float32)), holds


def by_definition(vectors: Vectors, holds: Floats, queries: Vectors) -> Floats:
    count, mean, rate = len(vectors), vectors.mean(0), holds.mean(0)
    labels, centred = holds - rate, vectors - mean
    # Ridge regression in its primal form; the model solves it in its dual form.
    gram = labels.T @ labels
    effects = np.linalg.solve(gram + 3 * np.eye(LABELS), labels.T @ centred)
    rest = centred - labels @ effects
    freedom = count - 1 - np.trace(np.linalg.solve(gram + 3 * np.eye(LABELS), gram))
    shrinkage = D / (D + freedom)
    spread = np.trace(rest.T @ rest) / (freedom * D)
    noise = (1 - shrinkage) * rest.T @ rest / freedom + shrinkage * spread * np.eye(D)
    rate = np.clip(rate, 0.5 / count, 1 - 0.5 / count)
    variance = rate * (1 - rate)
    total = noise + effects.T @ np.diag(variance) @ effects
    return np.asarray((queries - mean) @ np.linalg.solve(total, effects.T) * variance, np.float64)


def test_scores_are_those_of_the_definition() -> None:
    (vectors, holds), (queries, _) = things(1, 20), things(2, 9)
    scores = AdditiveModel.fit_targets(vectors, holds).scores(queries)
    assert scores == pytest.approx(by_definition(vectors, holds, queries), abs=1e-5)


@pytest.mark.parametrize("groups", [None, np.array([0, 0, 0, 1, 1, *range(2, 17)])])
def test_left_out_scores_are_those_without_the_example(groups: npt.NDArray[np.intp] | None) -> None:
    vectors, holds = things(3, 20)
    left_out = AdditiveModel.fit_targets(vectors, holds, groups).left_out
    for place in range(20):
        kept = np.arange(20) != place if groups is None else groups != groups[place]
        wanted = by_definition(vectors[kept], holds[kept], vectors[place])
        assert left_out[place] == pytest.approx(wanted, abs=1e-5)


def test_attributes_are_recognised_better_than_by_kernel_ridge() -> None:
    losses = []
    for seed in range(10):
        (vectors, holds), (queries, truth) = things(seed, 20), things(100 + seed, 200)
        for model in (AttributeRegression.fit_targets(vectors, holds), KernelRidge.fit_targets(vectors, holds)):
            calibration = IndependentCalibration.of(np.asarray(model.left_out, np.float64), holds > 0)
            losses.append(calibration.log_loss(model.scores(queries).astype(np.float64).ravel(), truth.ravel() > 0))
    both, ridge = np.reshape(losses, (-1, 2)).mean(0)
    assert both < 0.9 * ridge


def test_it_answers_only_where_labels_are_attributes_and_inputs_are_few() -> None:
    def head(count: int, *, are_attributes: bool) -> object:
        vectors, holds = things(4, count)
        contents, rows = np.nonzero(holds)
        names = [f"l{row}" for row in range(LABELS)]
        examples = Examples(vectors[contents], rows, names, contents=contents, are_attributes=are_attributes)
        fitted = fit(examples, independent=True)
        assert fitted.chosen is HeadKind.KERNEL_RIDGE
        return fitted.batch_head

    assert isinstance(head(30, are_attributes=True), AttributeRegression)
    assert isinstance(head(30, are_attributes=False), KernelRidge)
    assert isinstance(head(MOST_EXAMPLES + 1, are_attributes=True), KernelRidge)


def test_equal_examples_and_labels_that_always_hold_give_finite_scores() -> None:
    vectors = np.repeat(things(5, 1)[0], 4, axis=0)
    holds = np.ones((4, 2))
    for groups in (None, np.zeros(4, np.intp)):
        model = AdditiveModel.fit_targets(vectors, holds, groups)
        assert np.isfinite(model.scores(vectors)).all()
        assert np.isfinite(model.left_out).all()
