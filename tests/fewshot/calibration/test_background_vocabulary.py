"""The background vocabulary against brute force, its recalibration, and the decisions it makes."""

import numpy as np
import pytest

from glimpse.fewshot import (
    Background,
    BackgroundRule,
    Decision,
    DecisionSettings,
    FewShotClassifier,
    NearestSimilarities,
    Policy,
    Predictions,
    Vocabulary,
    predict,
)
from glimpse.fewshot.calibration.background_rules import measure_rule, measure_text_rule, neutral_fits
from glimpse.fewshot.calibration.background_vocabulary import References
from glimpse.fewshot.statistics.unit_vectors import Array

D, SCALE = 24, 12.0


def unit(count: int, seed: int) -> Array:
    vectors = np.random.default_rng(seed).normal(size=(count, D))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def near(centres: Array, seed: int, noise: float = 0.1) -> Array:
    vectors = centres + noise * unit(len(centres), seed)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def ask(texts: Array, queries: Array, settings: DecisionSettings, top_k: int = 5) -> Predictions:
    classifier = FewShotClassifier(D)
    for number, text in enumerate(texts):
        classifier.set_text(str(number), text)
    return predict(classifier, queries, NearestSimilarities.none(len(queries)), settings, top_k)


def test_shares_and_fits_equal_brute_force() -> None:
    texts, queries, words, own = unit(4, 0), unit(50, 1), unit(30, 2), unit(3, 3)
    rules = [BackgroundRule(1.5, 0.2)] * 25 + [BackgroundRule(-0.5)] * 25
    found = Background(words, SCALE, rules, own).compete(queries, queries @ texts.T)
    for i, (query, rule) in enumerate(zip(queries.astype(np.float64), rules, strict=True)):
        mass = np.exp(rule.log_weight) * np.mean(np.exp(SCALE * words @ query)) + np.exp(SCALE * own @ query).sum()
        mass += np.exp(SCALE * rule.min_cosine) if rule.min_cosine > -1 else 0.0
        labels = np.exp(SCALE * texts @ query)
        assert found.shares[i] == pytest.approx(mass / (mass + labels.sum()), rel=1e-5)
        assert found.fits[i] == pytest.approx(
            np.log(labels.max() / mass) + np.log(labels.max() / labels.sum()), abs=1e-4
        )


def test_the_selected_words_are_the_farthest_from_every_label() -> None:
    texts, words = unit(600, 4), unit(90, 5)
    chosen = Vocabulary(words).select(texts, 40)
    nearest = (words @ texts.T).max(1)
    assert {row.tobytes() for row in chosen} == {words[i].tobytes() for i in np.argsort(nearest)[:40]}
    assert len(Vocabulary(words).select(texts, 500)) == 90


def test_inputs_out_of_distribution_are_unknown_and_probabilities_sum_up_to_one() -> None:
    texts, words = unit(3, 6), unit(200, 7)
    background = Background(words, SCALE, [BackgroundRule(measure_text_rule(words, SCALE).log_weight)] * 103)
    queries = np.concatenate([near(texts, 8), unit(100, 9)])
    answers = ask(texts, queries, DecisionSettings(Policy(), SCALE, background=background)).predictions
    assert [answer.decision for answer in answers[:3]] == [Decision.MATCH] * 3
    assert [answer.labels[0] for answer in answers[:3]] == ["0", "1", "2"]
    assert np.mean([answer.decision is Decision.UNKNOWN for answer in answers[3:]]) >= 0.85
    for answer in answers:
        assert answer.background is not None
        assert sum(answer.probabilities) + answer.background == pytest.approx(1)
        assert "the background" in answer.reason
    without = ask(texts, queries, DecisionSettings(Policy(), SCALE)).predictions
    assert Decision.UNKNOWN not in {answer.decision for answer in without}
    assert all(answer.background is None for answer in without)


def test_a_tie_of_two_labels_is_ambiguous_and_not_unknown() -> None:
    text = unit(1, 10)
    background = Background(unit(100, 11), SCALE, [BackgroundRule(1.0)])
    [answer] = ask(np.repeat(text, 2, 0), text, DecisionSettings(Policy(), SCALE, background=background)).predictions
    assert answer.probabilities[0] < 0.5
    assert answer.decision is not Decision.UNKNOWN


def test_a_collection_with_examples_decides_by_them() -> None:
    texts = unit(2, 12)
    classifier = FewShotClassifier(D)
    for number, text in enumerate(texts):
        classifier.set_text(str(number), text)
    assert classifier.prompts_alone() is not None
    classifier.add(["0", "1"], texts)
    assert classifier.prompts_alone() is None
    background = Background(unit(9, 13), SCALE, [BackgroundRule(50.0)] * 2)
    settings = DecisionSettings(Policy(default_threshold=0.5), SCALE, background=background, unknown_tokens=[1.0, 1.0])
    answers = predict(classifier, texts, NearestSimilarities(np.ones(2), np.full(2, -1.0)), settings, 1)
    assert [answer.decision for answer in answers.predictions] == [Decision.MATCH] * 2


@pytest.mark.parametrize("independent", [False, True])
def test_a_text_of_mostly_unknown_tokens_is_unknown(independent: bool) -> None:
    texts = unit(2, 14)
    settings = DecisionSettings(Policy(), SCALE, independent, 0.0, unknown_tokens=[0.5, 0.6])
    known, unreadable = ask(texts, texts, settings).predictions
    assert known.decision is Decision.MATCH
    assert unreadable.decision is Decision.UNKNOWN
    assert "60 % of the text's tokens" in unreadable.reason


def test_unlabelled_inputs_and_negative_examples_move_the_threshold() -> None:
    texts, words, none = unit(4, 15), unit(100, 16), np.empty((0, D), np.float32)
    background = Background(words, SCALE, [], None, BackgroundRule(3.0))
    unlabeled, negatives = near(np.repeat(texts, 50, 0), 17, 1.5), unit(40, 18)

    def least(references: References, false_accept: float | None = None) -> float:
        return references.min_fit(background, lambda vectors: vectors @ texts.T, 0.05, false_accept)

    fits = background.fits(unlabeled, unlabeled @ texts.T)
    calibrated = least(References(unlabeled, none))
    assert 0.03 <= np.mean(fits < calibrated) <= 0.05
    assert least(References(unlabeled[:18], none)) == 0.0
    strange = background.fits(negatives, negatives @ texts.T)
    assert np.mean(strange >= least(References(unlabeled, negatives))) <= 0.05
    assert least(References(none, negatives[:1])) == max(0.0, np.nextafter(strange[0], np.inf))
    assert np.mean(strange >= least(References(unlabeled, negatives), 0.2)) <= 0.2


def test_rules_reject_what_no_label_describes_and_keep_what_is_described() -> None:
    words, texts = unit(300, 19), unit(60, 20)
    inputs, similar = near(texts, 21, 0.8), np.eye(60, dtype=np.bool_)
    rule = measure_rule(words, SCALE, inputs, texts, similar)
    labels, fits = texts[:10], neutral_fits(Vocabulary(words), SCALE, inputs, texts[:10])
    assert np.mean(fits[:10] < rule.log_weight) <= 0.2
    assert np.mean(fits[10:] < rule.log_weight) >= 0.9
    hopeless = measure_rule(words, SCALE, unit(60, 22), texts, similar)
    assert np.mean(neutral_fits(Vocabulary(words), SCALE, unit(60, 22)[:10], labels) < hopeless.log_weight) <= 0.2
