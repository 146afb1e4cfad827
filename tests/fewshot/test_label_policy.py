"""Tests policies of single labels: their threshold, their rate of false rejects and their least number of examples."""

import numpy as np
import pytest

from glimpse.fewshot import (
    Decision,
    DecisionSettings,
    Examples,
    FewShotClassifier,
    LabelPolicy,
    NearestSimilarities,
    Policy,
    Prediction,
    decide_left_out,
    fit,
    normalize,
    predict,
)
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

LABELS = ["calm", "wild", "few", "one"]
COUNTS = [40, 40, 10, 1]
#: The labels vary differently, so that one threshold for all rejects too many of one and too few of the other.
NOISE = np.array([0.25, 0.75, 0.4, 0.4])
CENTRES = np.random.default_rng(7).normal(size=(4, 12))


def vectors_of(rows: Rows, seed: int) -> Array:
    noise = np.random.default_rng(seed).normal(size=(len(rows), 12)) * NOISE[rows][:, None]
    return normalize((CENTRES[rows] + noise).astype(np.float32))


ROWS = np.repeat(np.arange(4), COUNTS)
QUERIES = np.repeat(np.arange(3), 400)


def taught(seed: int = 0) -> tuple[FewShotClassifier, Array]:
    vectors = vectors_of(ROWS, seed)
    classifier = FewShotClassifier(12)
    classifier.add([LABELS[row] for row in ROWS], vectors)
    classifier.adopt(fit(Examples(vectors, ROWS, LABELS)), classifier.begin())
    return classifier, vectors


@pytest.fixture(scope="module")
def known() -> tuple[FewShotClassifier, Array]:
    return taught()


def ask(known: tuple[FewShotClassifier, Array], policy: Policy, independent: bool = False) -> list[Prediction]:
    classifier, vectors = known
    queries = vectors_of(QUERIES, 1)
    near = NearestSimilarities(nearest_similarities(queries, vectors), np.full(len(queries), -1.0))
    return list(predict(classifier, queries, near, DecisionSettings(policy, 10.0, independent), 4).predictions)


def rejected(predictions: list[Prediction]) -> Floats:
    """Returns the part of each label's queries that are UNKNOWN, (3,)."""
    unknown = np.array([one.decision is Decision.UNKNOWN for one in predictions])
    return np.array([unknown[row == QUERIES].mean() for row in range(3)])


def test_a_label_keeps_its_own_rate_where_one_threshold_for_all_does_not() -> None:
    policy = Policy(labels={label: LabelPolicy(false_reject=0.05) for label in ("calm", "wild")})
    pooled, own = [], []
    for seed in range(6):
        known = taught(seed)
        pooled.append(rejected(ask(known, Policy()))[:2])
        own.append(rejected(ask(known, policy))[:2])
    assert np.mean(pooled, 0)[1] > 2 * np.mean(own, 0)[1]
    assert (np.mean(own, 0) > 0.02).all()
    assert (np.mean(own, 0) < 0.1).all()


def test_other_labels_are_decided_as_before(known: tuple[FewShotClassifier, Array]) -> None:
    plain = ask(known, Policy())
    policy = Policy(labels={"wild": LabelPolicy(0.99, 0.5, 1_000)})
    for one, other in zip(ask(known, policy), plain, strict=True):
        if one.labels[0] != "wild":
            assert one == other
        else:
            assert (one.labels, one.probabilities) == (other.labels, other.probabilities)


def test_a_p_value_is_that_of_the_labels_own_examples(known: tuple[FewShotClassifier, Array]) -> None:
    rate = 0.1
    answers = ask(known, Policy(labels={"wild": LabelPolicy(false_reject=rate)}))
    own = [one for one in answers if one.labels[0] == "wild"]
    places = np.array([one.p_value for one in own]) * 41  # 40 examples
    assert np.allclose(places, np.round(places))
    for one in own:
        assert one.p_value is not None
        assert (one.decision is Decision.UNKNOWN) is (one.p_value <= rate)
        assert "label" in one.reason or one.decision is Decision.AMBIGUOUS
    unknown = [one.reason for one in own if one.decision is Decision.UNKNOWN]
    assert (
        "it fits worse than all 40 examples of the label that were left out, as 1 in 41 inputs of the label do"
        in unknown
    )
    assert "only 4.9 % of the label's examples fit as badly" in unknown


def test_too_few_examples_of_a_label_are_decided_by_those_of_all(known: tuple[FewShotClassifier, Array]) -> None:
    by_all = ask(known, Policy(false_reject=0.05))
    by_label = ask(known, Policy(false_reject=0.3, labels={"few": LabelPolicy(false_reject=0.05)}))
    few = [i for i, one in enumerate(by_all) if one.labels[0] == "few"]
    assert few
    assert [by_label[i] for i in few] == [by_all[i] for i in few]
    enough = ask(known, Policy(labels={"few": LabelPolicy(false_reject=0.1)}))  # 10 examples keep 1 in 11
    places = np.array([enough[i].p_value for i in few if enough[i].p_value is not None]) * 11
    assert np.allclose(places, np.round(places))


def test_a_rate_replaces_the_rules_of_the_collection(known: tuple[FewShotClassifier, Array]) -> None:
    own = {"calm": LabelPolicy(false_reject=0.1)}
    of_calm = [i for i, one in enumerate(ask(known, Policy())) if one.labels[0] == "calm"]
    alone = ask(known, Policy(labels=own))
    for policy in (Policy(0.999, labels=own), Policy(false_accept=0.01, labels=own)):
        answers = ask(known, policy)
        assert [answers[i].decision for i in of_calm] == [alone[i].decision for i in of_calm]


def test_a_labels_threshold_alone_decides(known: tuple[FewShotClassifier, Array]) -> None:
    threshold = 0.95
    answers = ask(known, Policy(labels={"calm": LabelPolicy(threshold, 0.5)}))
    own = [one for one in answers if one.labels[0] == "calm"]
    assert {one.similarity < threshold for one in own} == {True, False}
    for one in own:
        assert (one.decision is Decision.UNKNOWN) is (one.similarity < threshold)
        if one.decision is not Decision.AMBIGUOUS:
            assert "the label's threshold 0.95" in one.reason


@pytest.mark.parametrize("independent", [False, True])
def test_a_label_with_too_few_examples_is_never_a_match(
    known: tuple[FewShotClassifier, Array], independent: bool
) -> None:
    plain = ask(known, Policy(), independent)
    assert any(one.labels[0] == "few" and one.decision is Decision.MATCH for one in plain)
    answers = ask(known, Policy(labels={"few": LabelPolicy(min_examples=11)}), independent)
    own = [one for one in answers if one.labels[0] == "few"]
    assert {one.decision for one in own} == {Decision.UNKNOWN}
    assert {one.reason for one in own} == {"label 'few' is never a match before it has 11 examples; it has 10"}
    assert ask(known, Policy(labels={"few": LabelPolicy(min_examples=10)}), independent) == plain


def test_independent_labels_heed_a_threshold_and_no_rate(known: tuple[FewShotClassifier, Array]) -> None:
    plain = ask(known, Policy(), independent=True)
    assert ask(known, Policy(labels={"calm": LabelPolicy(false_reject=0.5)}), independent=True) == plain
    answers = ask(known, Policy(labels={"calm": LabelPolicy(0.95)}), independent=True)
    low = [one for one in answers if one.labels[0] == "calm" and one.similarity < 0.95]
    assert low
    assert {one.decision for one in low} == {Decision.UNKNOWN}


def test_a_rate_has_no_effect_before_anything_can_be_left_out() -> None:
    vectors = vectors_of(np.arange(4), 0)
    classifier = FewShotClassifier(12)
    classifier.add(LABELS, vectors)
    classifier.adopt(fit(Examples(vectors, np.arange(4), LABELS)), classifier.begin())
    policy = Policy(labels={label: LabelPolicy(false_reject=0.5) for label in LABELS})
    assert ask((classifier, vectors), policy) == ask((classifier, vectors), Policy())


def test_examples_left_out_are_decided_by_their_labels_policies(known: tuple[FewShotClassifier, Array]) -> None:
    classifier, _ = known
    evaluation, fitted = classifier.chosen_evaluation, classifier.fitted
    assert evaluation
    assert fitted
    policy = Policy(labels={"wild": LabelPolicy(false_reject=0.1), "few": LabelPolicy(min_examples=11)})
    unknown = np.array([one is Decision.UNKNOWN for one in decide_left_out(classifier, policy)])
    before = np.array([one is Decision.UNKNOWN for one in decide_left_out(classifier, Policy())])
    predicted = np.array([fitted.labels[column] for column in evaluation.predicted])
    assert unknown[predicted == "few"].all()
    others = (predicted != "few") & (predicted != "wild")
    assert (unknown[others] == before[others]).all()
    # By the other 39, an example of the label is rejected that fits no better than 3 of them: (1 + 3) / 40 = 0.1.
    wild = fitted.rows == fitted.labels.index("wild")
    ranks = np.array([(evaluation.fits[wild] < value).sum() for value in evaluation.fits[wild & (predicted == "wild")]])
    assert (unknown[wild & (predicted == "wild")] == (ranks < 4)).all()


def test_fits_of_labels_are_those_of_the_last_fit() -> None:
    classifier, vectors = taught()
    evaluation = classifier.chosen_evaluation
    assert evaluation
    before = classifier.label_typicality(evaluation, "wild")
    assert before.count == 40
    assert classifier.label_typicality(evaluation, "nobody").count == 0
    half = np.concatenate([np.arange(0, 40), np.arange(40, 80, 2), np.arange(80, 91)])
    classifier.adopt(fit(Examples(vectors[half], ROWS[half], LABELS)), classifier.begin())
    again = classifier.chosen_evaluation
    assert again
    assert classifier.label_typicality(again, "wild").count == 20
