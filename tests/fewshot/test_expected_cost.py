"""Tests expected costs against their definition, and the answers and decisions that follow."""

from collections.abc import Mapping

import numpy as np
import pytest

from glimpse.fewshot import (
    Decision,
    DecisionSettings,
    Examples,
    FewShotClassifier,
    NearestSimilarities,
    Policy,
    Predictions,
    fit,
    normalize,
    predict,
)
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.expected_cost import ExpectedCosts
from glimpse.fewshot.statistics.unit_vectors import Array, Floats

LABELS = [f"l{row}" for row in range(6)]
ROWS = np.repeat(np.arange(6), 12)
CENTRES = np.random.default_rng(3).normal(size=(6, 16))


def vectors_of(seed: int, noise: float = 1.3) -> Array:
    rng = np.random.default_rng(seed)
    return normalize((CENTRES[ROWS] + noise * rng.normal(size=(len(ROWS), 16))).astype(np.float32))


@pytest.fixture(scope="module")
def classifier() -> FewShotClassifier:
    made = FewShotClassifier(16)
    vectors = vectors_of(0)
    made.add([LABELS[row] for row in ROWS], vectors)
    made.adopt(fit(Examples(vectors, ROWS, LABELS)), made.begin())
    return made


def ask(classifier: FewShotClassifier, policy: Policy, top_k: int = 6, independent: bool = False) -> Predictions:
    queries = vectors_of(1)
    near = NearestSimilarities(nearest_similarities(queries, vectors_of(0)), np.full(len(queries), -1.0))
    return predict(classifier, queries, near, DecisionSettings(policy, 10.0, independent), top_k)


def place(label: str) -> int | None:
    return LABELS.index(label) if label in LABELS else None


def by_definition(probabilities: Floats, costs: Mapping[tuple[str, str], float]) -> Floats:
    """Returns the expected cost of each label as the answer: `(n, C)`."""
    matrix = np.ones((6, 6)) - np.eye(6)
    for (truth, answer), cost in costs.items():
        if truth in LABELS and answer in LABELS and truth != answer:
            matrix[LABELS.index(truth), LABELS.index(answer)] = cost
    return probabilities @ matrix


@pytest.mark.parametrize("seed", range(5))
def test_the_answer_has_the_least_expected_cost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(6, 0.4), size=50)
    names = [*LABELS, "never"]
    pairs = {(str(rng.choice(names)), str(rng.choice(names))) for _ in range(3 * seed)}
    costs = {pair: float(rng.choice([0, 0.1, 0.5, 1, 4, 100])) for pair in pairs}
    rows = np.broadcast_to(np.arange(6), probabilities.shape)
    found, wanted = ExpectedCosts.of(probabilities, rows, place, costs), by_definition(probabilities, costs)
    assert np.allclose(found.costs, wanted.min(1), atol=1e-9)
    assert np.allclose(wanted[np.arange(50), found.answers], wanted.min(1), atol=1e-9)
    for answer, serious in zip(found.answers, found.serious, strict=True):
        cheap = {truth for (truth, answered), cost in costs.items() if answered == LABELS[answer] and cost < 1}
        assert [LABELS[row] for row in np.flatnonzero(~serious)] == sorted({*cheap & set(LABELS), LABELS[answer]})


def test_candidates_in_any_order_cost_the_same_and_none_is_never_the_answer() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2, 0.0], [0.1, 0.2, 0.7, 0.0]])
    rows = np.array([[4, 2, 0, -1], [0, 2, 4, -1]])
    costs = {("l2", "l4"): 3.0, ("l5", "l0"): 9.0}
    found = ExpectedCosts.of(probabilities, rows, place, costs)
    assert rows[[0, 1], found.answers].tolist() == [2, 4]
    assert np.allclose(found.costs, [0.5 + 0.2, 0.1 + 3 * 0.2])
    assert (rows[[0, 1], found.answers] >= 0).all()


def test_costs_of_one_change_nothing_but_state_the_cost(classifier: FewShotClassifier) -> None:
    plain = ask(classifier, Policy()).predictions
    ones = {(truth, answer): 1.0 for truth in LABELS for answer in LABELS}
    for policy in (Policy(mistake_costs=ones), Policy(mistake_costs={("x", "y"): 9.0})):
        for costly, one in zip(ask(classifier, policy).predictions, plain, strict=True):
            assert costly.expected_cost == pytest.approx(1 - one.probabilities[0])
            assert (costly.decision, list(costly.labels)) == (one.decision, list(one.labels))
            assert (costly.probabilities, costly.margin, costly.set_size) == (
                one.probabilities,
                one.margin,
                one.set_size,
            )
    assert {one.decision for one in plain} == set(Decision)
    assert {one.expected_cost for one in plain} == {None}


def test_a_costly_mistake_is_avoided_and_a_cheap_one_is_not_ambiguous(classifier: FewShotClassifier) -> None:
    plain = ask(classifier, Policy()).predictions
    unsure = [i for i, one in enumerate(plain) if one.decision is Decision.AMBIGUOUS and one.set_size == 2]
    assert unsure
    for i in unsure:
        first, second = plain[i].labels[:2]
        dear = Policy(mistake_costs={(second, first): 1e6, (first, second): 0.0})
        answer = ask(classifier, dear).predictions[i]
        assert answer.labels[0] == second
        assert set(answer.labels) == set(plain[i].labels)
        assert answer.decision is Decision.MATCH
        assert answer.margin is not None
        assert answer.margin < 0
        cheap = ask(classifier, Policy(mistake_costs={(second, first): 0.0})).predictions[i]
        assert cheap.labels[0] == first
        assert cheap.expected_cost == pytest.approx(1 - plain[i].probabilities[0] - plain[i].probabilities[1], abs=1e-9)
        assert cheap.decision is Decision.MATCH
        assert ask(classifier, dear, top_k=1).predictions[i].labels == [second]


def test_a_match_whose_mistakes_are_dear_becomes_ambiguous(classifier: FewShotClassifier) -> None:
    plain = ask(classifier, Policy()).predictions
    sure = [i for i, one in enumerate(plain) if one.decision is Decision.MATCH and one.probabilities[0] < 0.999]
    assert sure
    for i in sure:
        first = plain[i].labels[0]
        dear = {(truth, answer): 1e6 for truth in LABELS for answer in LABELS if truth != answer}
        answer = ask(classifier, Policy(mistake_costs=dear)).predictions[i]
        assert (answer.labels[0], answer.decision) == (first, Decision.AMBIGUOUS)
        assert "expected cost" in answer.reason


def test_costs_have_no_effect_on_independent_labels(classifier: FewShotClassifier) -> None:
    plain = ask(classifier, Policy(), independent=True).predictions
    costly = ask(classifier, Policy(mistake_costs={("l0", "l1"): 1e6}), independent=True).predictions
    assert costly == plain
