"""Tests when the best label is accepted."""

import math
from dataclasses import replace

import numpy as np
import pytest

from glimpse.fewshot import Decision, Policy
from glimpse.fewshot.calibration.calibration import logistic, set_floor
from glimpse.fewshot.calibration.open_set import Typicality
from glimpse.fewshot.decision import Evidence, RejectBy, Rejection, decide
from glimpse.fewshot.statistics.confidence_interval import wilson_interval

FEW = Policy(default_threshold=0.5)
NOT_CALIBRATED = Evidence(probability=0.6, similarity=0.7, lead=0.2, nearest=0.7, nearest_negative=-1.0)
BY_EXAMPLES = Rejection(RejectBy.EXAMPLES, 0.0, 40, 0.05)
CALIBRATED = replace(NOT_CALIBRATED, fit=1.0, rejection=BY_EXAMPLES, p_value=0.4, set_size=1)


@pytest.mark.parametrize(
    ("similarity", "probability", "wanted"),
    [
        (0.49, 0.9, Decision.UNKNOWN),
        (0.5, 0.5, Decision.AMBIGUOUS),  # a tie of two labels
        (0.5, 0.51, Decision.MATCH),
        (0.9, 0.49, Decision.AMBIGUOUS),
        (0.4, 0.1, Decision.UNKNOWN),
    ],
)
def test_too_few_examples_leave_it_to_the_backbone_and_the_probability(
    similarity: float, probability: float, wanted: Decision
) -> None:
    signs = replace(NOT_CALIBRATED, similarity=similarity, probability=probability, lead=0.001)
    decision, reason = decide(signs, FEW)
    assert decision is wanted
    assert ("of the backbone" in reason) is (wanted is not Decision.AMBIGUOUS)
    decision, reason = decide(replace(signs, similarity=-0.9), Policy())
    assert decision is (Decision.MATCH if probability > 0.5 else Decision.AMBIGUOUS)
    assert ("no rate of false rejects is known" in reason) is (decision is Decision.MATCH)


def test_labels_of_one_example_are_compared_with_each_other() -> None:
    rule = Rejection(RejectBy.OTHER_LABELS, 0.6, 30)
    for fit, wanted in ((0.59, Decision.UNKNOWN), (0.6, Decision.MATCH)):
        decision, reason = decide(replace(NOT_CALIBRATED, fit=fit, rejection=rule), Policy())
        assert decision is wanted
        assert "examples of different labels are (0.600)" in reason
        assert "no rate of false rejects is known" in reason


def test_the_reason_names_the_rate_that_few_examples_keep() -> None:
    few = replace(CALIBRATED, fit=-1.0, rejection=Rejection(RejectBy.EXAMPLES, 0.0, 12, 1 / 13), p_value=1 / 13)
    assert decide(few, Policy()) == (
        Decision.UNKNOWN,
        "it fits worse than all 12 examples that were left out, as 1 in 13 inputs of the labels do",
    )
    many = replace(few, rejection=BY_EXAMPLES, p_value=2 / 41)
    assert decide(many, Policy())[1] == "only 4.9 % of the examples fit as badly"
    assert "negative examples" in decide(replace(many, p_value=0.3), Policy())[1]


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (Policy(), Decision.MATCH),  # by probability
        (Policy(0.8), Decision.UNKNOWN),
        (Policy(margin=0.3), Decision.AMBIGUOUS),
        (Policy(0.6, 0.1), Decision.MATCH),
    ],
)
def test_prompts_have_no_defaults(policy: Policy, wanted: Decision) -> None:
    assert decide(NOT_CALIBRATED, policy)[0] is wanted
    assert decide(replace(NOT_CALIBRATED, probability=0.4), Policy())[0] is Decision.AMBIGUOUS


def test_two_labels_that_nearly_tie_are_ambiguous_without_a_prediction_set() -> None:
    tie = replace(NOT_CALIBRATED, probability=0.55, next_probability=0.45)
    decision, reason = decide(tie, Policy())
    assert (decision, reason) == (
        Decision.AMBIGUOUS,
        "its probability 0.55 is under 2 times the 0.45 of the next label",
    )
    for other in (replace(tie, next_probability=0.2), replace(CALIBRATED, probability=0.55, next_probability=0.45)):
        assert decide(other, Policy())[0] is Decision.MATCH


def test_examples_take_the_place_of_the_defaults() -> None:
    low = replace(CALIBRATED, similarity=0.1, lead=0.0)
    assert decide(low, FEW)[0] is Decision.MATCH
    assert decide(replace(low, fit=-0.1), FEW)[0] is Decision.UNKNOWN
    assert decide(replace(low, set_size=2), FEW)[0] is Decision.AMBIGUOUS
    # There are too few examples for a rate, or for the coverage.
    assert decide(replace(low, rejection=None), FEW)[0] is Decision.UNKNOWN
    assert decide(replace(CALIBRATED, set_size=0, probability=0.4), FEW)[0] is Decision.AMBIGUOUS


def test_the_policys_own_values_replace_the_calibration() -> None:
    assert decide(CALIBRATED, Policy(threshold=0.71))[0] is Decision.UNKNOWN
    assert decide(replace(CALIBRATED, fit=-9.0), Policy(threshold=0.6))[0] is Decision.MATCH
    assert decide(replace(CALIBRATED, set_size=3), Policy(margin=0.1))[0] is Decision.MATCH


def test_an_input_nearer_to_a_negative_example_is_unknown() -> None:
    near = replace(CALIBRATED, nearest_negative=0.71)
    decision, reason = decide(near, Policy(threshold=0.1))
    assert decision is Decision.UNKNOWN
    assert "negative example" in reason
    assert decide(replace(near, nearest_negative=0.69), FEW)[0] is Decision.MATCH


def test_every_decision_has_its_reason() -> None:
    for signs in (NOT_CALIBRATED, CALIBRATED, replace(CALIBRATED, fit=-1.0), replace(CALIBRATED, set_size=2)):
        _, reason = decide(signs, FEW)
        assert len(reason) > 10


def typical(count: int, outside: int = 0, negatives: int = 0) -> Typicality:
    rng = np.random.default_rng(0)
    return Typicality.of(
        rng.normal(size=(count, 3)), rng.normal(size=(outside, 3)) - 2, rng.normal(size=(negatives, 3)) - 2
    )


def test_a_rate_takes_as_many_examples_as_it_needs() -> None:
    assert typical(5).min_fit(0.05, None) is None
    for count, place in ((6, 0), (18, 0), (19, 0), (38, 0), (39, 1), (100, 4)):
        some = typical(count)
        assert some.min_fit(0.05, None) == some.fits[place]  # the worst fit of 6 to 38 examples still passes
    assert [typical(count).reject_rate(0.05) for count in (5, 6, 18, 19, 100)] == [None, 1 / 7, 1 / 19, 0.05, 0.05]
    assert typical(100, outside=18).min_fit(0.05, 0.05) is None


def test_labels_of_one_example_need_twenty_labels() -> None:
    others = np.linspace(0.0, 1.0, 101)[:, None]
    nearest = Typicality.of(np.empty((0, 1)), others)
    assert nearest.least_similarity(19) is None
    assert nearest.least_similarity(20) == pytest.approx(0.1)
    assert Typicality.of(np.empty((0, 1))).least_similarity(20) is None


def test_a_rate_of_false_accepts_is_held_among_outside() -> None:
    many = typical(500, outside=999)
    least = many.min_fit(0.05, 0.1)
    assert least is not None
    assert (many.label_left_out >= least).mean() == pytest.approx(0.1, abs=0.005)
    known = typical(500, outside=999, negatives=99)
    least = known.min_fit(0.05, 0.1)
    assert least is not None
    assert (known.negatives >= least).mean() == pytest.approx(0.1, abs=0.02)


def test_known_outside_are_a_ceiling() -> None:
    alone, with_negatives = typical(100), typical(100, negatives=3)
    least, raised = alone.min_fit(0.05, None), with_negatives.min_fit(0.05, None)
    assert least is not None
    assert raised is not None
    assert least < raised
    assert (with_negatives.negatives < raised).all()


def test_prediction_sets_need_enough_examples() -> None:
    for coverage, needed in ((0.9, 9), (0.95, 19), (0.99, 99)):
        assert set_floor(np.linspace(0.1, 1, needed - 1), coverage) is None
        assert set_floor(np.linspace(0.1, 1, needed), coverage) == pytest.approx(0.1)


def test_prediction_sets_hold_the_right_label_at_the_target_rate() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        floor = set_floor(np.sort(rng.beta(3, 1, 60)), 0.9)
        assert floor is not None
        held.append((rng.beta(3, 1, 200) >= floor).mean())
    assert np.mean(held) == pytest.approx(0.9, abs=0.02)


def test_the_logistic_curve_is_that_which_made_the_data() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(40, 10, 20_000)
    holds = rng.random(20_000) < 1 / (1 + np.exp(-(0.3 * values - 15)))
    a, b = logistic(values, holds)
    assert [a, b] == pytest.approx([0.3, -15], rel=0.1)
    a, b = logistic(np.array([1.0, 2.0]), np.array([True, True]))  # only one class
    assert math.isfinite(a)
    assert math.isfinite(b)


def test_wilsons_interval() -> None:
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Agresti and Coull 1998
    assert wilson_interval(0, 5)[0] == pytest.approx(0)
    assert wilson_interval(5, 5)[1] == pytest.approx(1)
