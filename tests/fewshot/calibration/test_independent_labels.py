"""Tests the regression that answers for independent labels: its left-out scores, its probabilities, and its changes."""

from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.kernel_ridge import KernelRidge as Oracle

from glimpse.fewshot import (
    DecisionSettings,
    Examples,
    FewShotClassifier,
    HeadKind,
    NearestSimilarities,
    Policy,
    Predictions,
    fit,
    normalize,
    predict,
)
from glimpse.fewshot.calibration import independent_labels
from glimpse.fewshot.heads.kernel_ridge import KernelRidge
from glimpse.fewshot.heads.projected_ridge import ProjectedRidge

Array = npt.NDArray[np.float32]
CENTRES = np.random.default_rng(99).normal(size=(6, 24))
NAMES = [f"l{row}" for row in range(6)]
SETTINGS = DecisionSettings(Policy(), 10.0, independent=True)


def tagged(seed: int, count: int, noise: float = 1.0) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Returns inputs with one to three of 6 labels, and the labels that hold, (n, 6)."""
    rng = np.random.default_rng(seed)
    holds = np.zeros((count, 6), bool)
    for row in holds:
        row[rng.choice(6, rng.integers(1, 4), replace=False)] = True
    return normalize((holds @ CENTRES + noise * rng.normal(size=(count, 24))).astype(np.float32)), holds


def examples_of(vectors: Array, holds: npt.NDArray[np.bool_], **fields: object) -> Examples:
    contents, rows = np.nonzero(holds)
    return Examples(vectors[contents], rows, NAMES, contents=contents, **fields)  # type: ignore[arg-type]


def engine_of(examples: Examples) -> FewShotClassifier:
    engine = FewShotClassifier(24)
    engine.add([NAMES[row] for row in examples.rows], examples.vectors)
    return adopted(engine, examples)


def adopted(engine: FewShotClassifier, examples: Examples) -> FewShotClassifier:
    token = engine.begin()
    engine.adopt(fit(examples, independent=True), token)
    return engine


def ask(engine: FewShotClassifier, queries: Array) -> Predictions:
    return predict(engine, queries, NearestSimilarities.none(len(queries)), SETTINGS, 6)


def probabilities(engine: FewShotClassifier, queries: Array) -> npt.NDArray[np.float64]:
    """Returns the probability of each label, (n, 6), in the order of NAMES."""
    return np.array(
        [
            [dict(zip(one.labels, one.probabilities, strict=True))[name] for name in NAMES]
            for one in ask(engine, queries).predictions
        ]
    )


def f1(engine: FewShotClassifier, queries: Array, holds: npt.NDArray[np.bool_]) -> float:
    predicted = probabilities(engine, queries) >= 0.5
    return float(2 * (predicted & holds).sum() / (predicted.sum() + holds.sum()))


def log_loss(engine: FewShotClassifier, queries: Array, holds: npt.NDArray[np.bool_]) -> float:
    found = probabilities(engine, queries)
    return float(-np.log(np.where(holds, found, 1 - found)).mean())


@pytest.mark.parametrize("groups", [None, np.arange(40) // 3])
def test_left_out_scores_equal_fits_without_the_content(groups: npt.NDArray[np.intp] | None) -> None:
    vectors, holds = tagged(1, 40)
    ridge = KernelRidge.fit_targets(vectors, holds.astype(float), groups)
    together = np.arange(40) if groups is None else groups
    for number in np.unique(together):
        inside = together == number
        oracle = Oracle(alpha=ridge.ridge, kernel="rbf", gamma=ridge.beta / 2)  # |x - y|² = 2 (1 - x · y)
        oracle.fit(vectors[~inside].astype(float), holds[~inside].astype(float))
        expected = oracle.predict(vectors[inside].astype(float))
        assert ridge.left_out[inside] == pytest.approx(expected, abs=1e-5)


def test_left_out_scores_of_projected_ridge_equal_fits_without_the_content() -> None:
    vectors, holds = tagged(1, 60)
    target = holds.astype(np.float32)
    ridge = ProjectedRidge.fit_targets(vectors, target, width=30)
    hidden = np.maximum(vectors @ ridge.projection, 0).astype(float)
    for place in range(0, 60, 7):
        others = np.arange(60) != place
        gram = hidden[others].T @ hidden[others] + ridge.ridge * np.eye(30)
        expected = hidden[place] @ np.linalg.solve(gram, hidden[others].T @ target[others])
        assert ridge.left_out[place] == pytest.approx(expected, abs=1e-5)


def test_the_regression_is_better_than_likelihood_ratios_and_calibrated() -> None:
    engine = engine_of(examples_of(*tagged(1, 200)))
    queries, holds = tagged(2, 400)
    assert engine.head().kind is HeadKind.KERNEL_RIDGE
    found, regression = probabilities(engine, queries), f1(engine, queries, holds)
    engine.mark_outdated()
    assert engine.head().kind is HeadKind.LDA
    assert regression > f1(engine, queries, holds) + 0.005
    for low in (0.2, 0.4, 0.6, 0.8):
        inside = (found >= low - 0.1) & (found < low + 0.1)
        assert holds[inside].mean() == pytest.approx(found[inside].mean(), abs=0.15)


def test_lda_answers_between_fits_and_deleting_reverses_an_enrolment() -> None:
    examples = examples_of(*tagged(1, 100))
    engine, queries = engine_of(examples), tagged(2, 50)[0]
    fitted = probabilities(engine, queries)
    vector = tagged(3, 1)[0]
    engine.add(["l0", "l1"], np.repeat(vector, 2, 0))
    changed = ask(engine, queries)
    assert changed.kind is HeadKind.LDA
    assert "examples have changed" in changed.reason
    with_more = probabilities(engine, queries)
    engine.remove(["l1"], vector[:1])
    engine.remove(["l0"], vector[:1])
    without = probabilities(engine, queries)
    assert np.abs(with_more - without).max() > 1e-4
    same = engine_of(examples)
    same.mark_outdated()
    assert without == pytest.approx(probabilities(same, queries), abs=1e-4)
    assert (probabilities(adopted(engine, examples), queries) == fitted).all()


def test_a_new_label_is_scored_before_it_is_fitted() -> None:
    vectors, holds = tagged(1, 100)
    holds[:, 5] = False
    keep = holds.any(1)
    contents, rows = np.nonzero(holds[keep])
    engine = engine_of(Examples(vectors[keep][contents], rows, NAMES[:5], contents=contents))
    queries = normalize(CENTRES[[5]].astype(np.float32))
    assert "l5" not in ask(engine, queries).predictions[0].labels
    engine.add(["l5"] * 3, normalize((CENTRES[[5] * 3] + 0.3).astype(np.float32)))
    assert ask(engine, queries).predictions[0].labels[0] == "l5"


def test_a_label_with_text_alone_leaves_the_answer_to_lda() -> None:
    vectors, holds = tagged(1, 100)
    holds[:, 5] = False
    keep = holds.any(1)
    text = normalize(CENTRES[[5]].astype(np.float32))[0]
    found = fit(examples_of(vectors[keep], holds[keep], texts={"l5": text}), independent=True)
    assert (found.chosen, found.batch_head) == (HeadKind.LDA, None)


def test_many_contents_are_fitted_in_the_primal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(independent_labels, "MOST_EXAMPLES", 150)
    monkeypatch.setattr(ProjectedRidge, "fit_targets", partial(ProjectedRidge.fit_targets, width=200))
    engine = engine_of(examples_of(*tagged(1, 300)))
    queries, holds = tagged(2, 300)
    assert engine.head().kind is HeadKind.PROJECTED_RIDGE
    assert f1(engine, queries, holds) > 0.85


def test_examples_of_a_group_are_left_out_together() -> None:
    base, holds = tagged(1, 60)
    jitter = np.random.default_rng(5).normal(size=(60, 4, 24)) * 0.12
    copies = normalize((base[:, None] + jitter).reshape(-1, 24).astype(np.float32))
    repeated, clips = np.repeat(holds, 4, 0), np.repeat(np.arange(60), 4)
    groups = clips[np.nonzero(repeated)[0]]
    alone = engine_of(examples_of(copies, repeated))
    together = engine_of(examples_of(copies, repeated, groups=groups))
    queries, truth = tagged(2, 300)
    # Frames that are not near copies: where they vouch for each other, probabilities of new inputs are wrong.
    assert log_loss(together, queries, truth) < log_loss(alone, queries, truth) - 0.02
