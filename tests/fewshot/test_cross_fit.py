"""Cross-fitting measures an adapted backbone on examples that it was not trained on."""

import numpy as np
import pytest

from glimpse.fewshot import Examples, FewShotClassifier, fit, normalize
from glimpse.fewshot.adaptation import PairedGain, Space, cross_fit
from glimpse.fewshot.adaptation.cross_fit import assign_folds
from glimpse.fewshot.statistics.unit_vectors import Array, Rows

LABELS, SHOTS, DIMENSION = 5, 12, 24


def clusters(spread: float, seed: int = 0) -> tuple[Array, Rows]:
    """Returns 60 vectors around 5 centres."""
    rng = np.random.default_rng(seed)
    centres, rows = rng.normal(size=(LABELS, DIMENSION)), np.repeat(np.arange(LABELS), SHOTS)
    return normalize((centres[rows] + spread * rng.normal(size=(len(rows), DIMENSION))).astype(np.float32)), rows


def memorize(vectors: Array, rows: Rows, training: Rows, by: float = 3.0) -> Space:
    """Moves every training example to its label, whatever it is, and leaves the others where they are."""
    moved = np.array(vectors)
    moved[training] += by * np.eye(LABELS, DIMENSION, dtype=np.float32)[rows[training]]
    return Space(normalize(moved))


def test_what_is_learnt_by_heart_is_no_gain() -> None:
    vectors, rows = clusters(3.0)
    shuffled = np.random.default_rng(1).permutation(rows)
    adapted = memorize(vectors, shuffled, np.arange(len(rows))).vectors
    examples = Examples(adapted, shuffled, [str(row) for row in range(LABELS)])
    plain = fit(examples, choice_only=True)
    assert plain.evaluations[plain.chosen].accuracy == 1.0  # leave-one-out takes it for knowledge

    result = cross_fit(lambda training: memorize(vectors, shuffled, training), Space(vectors), shuffled)

    assert result.accuracy.adapted < 0.4
    assert not result.accuracy.gains


def test_an_adapted_backbone_that_is_better_gains() -> None:
    vectors, rows = clusters(2.5)
    better, _ = clusters(0.5)
    result = cross_fit(lambda training: Space(better), Space(vectors), rows)
    assert result.accuracy.adapted > 0.95 > result.accuracy.frozen
    assert result.accuracy.gains
    assert sorted(result.places) == list(range(len(rows)))


def test_the_frozen_backbone_gains_nothing_on_itself() -> None:
    vectors, rows = clusters(1.5)
    result = cross_fit(lambda training: Space(vectors), Space(vectors), rows)
    assert result.accuracy.gain == 0.0
    assert not result.accuracy.gains
    # Leave-one-out is honest there, so cross-fitting finds about its temperature and its fits.
    assert 0.5 < result.calibration.temperature < 2.0
    assert abs(np.mean(result.calibration.fits)) < 0.6


def test_texts_are_compared_on_the_same_examples() -> None:
    vectors, rows = clusters(1.5)
    texts = normalize(np.stack([vectors[rows == row].mean(0) for row in range(LABELS)]))
    scattered = np.roll(texts, 1, axis=0)
    result = cross_fit(lambda training: Space(vectors, scattered), Space(vectors, texts), rows)
    zero_shot = result.zero_shot_accuracy
    assert zero_shot is not None
    assert zero_shot.loses
    assert zero_shot.frozen == ((vectors @ texts.T).argmax(1) == rows).mean()


def test_a_group_is_in_one_fold_and_training_never_sees_the_fold() -> None:
    vectors, rows = clusters(1.5)
    groups = np.arange(len(rows)) // 3
    seen: list[Rows] = []

    def train(training: Rows) -> Space:
        seen.append(training)
        return Space(vectors)

    result = cross_fit(train, Space(vectors), rows, groups, folds=4)
    assert result.folds == len(seen) == 4
    for training in seen:
        assert not set(groups[training]) & set(np.delete(groups, training))


def test_folds_share_a_label_evenly() -> None:
    rows = np.repeat(np.arange(3), 10)
    numbers = assign_folds(rows, np.arange(30), 5, seed=3)
    assert (np.bincount(rows * 5 + numbers) == 2).all()


def test_the_error_of_a_gain_counts_groups() -> None:
    rows, groups = np.zeros(8, np.intp), np.repeat(np.arange(2), 4)
    frozen, adapted = np.ones(8, np.intp), np.repeat([0, 1], 4)
    # Two clips, of which one is right: the gain is 1/2, and its error is as great.
    paired = PairedGain.of(frozen, adapted, rows, groups)
    assert paired.gain == 0.5
    assert paired.error == pytest.approx(0.5)
    assert not paired.gains


def test_a_calibration_replaces_that_of_leave_one_out() -> None:
    vectors, rows = clusters(1.5)
    result = cross_fit(lambda training: memorize(vectors, rows, training, 0.5), Space(vectors), rows)
    classifier = FewShotClassifier(DIMENSION)
    adapted = memorize(vectors, rows, np.arange(len(rows)), 0.5).vectors
    classifier.add([str(row) for row in rows], adapted)
    columns = np.array([classifier.labels.index(str(row)) for row in rows])
    classifier.adopt(fit(Examples(adapted, columns, classifier.labels), choice_only=True), classifier.begin())
    plain = classifier.evaluation(classifier.head().kind)
    assert plain is not None

    calibrated = result.calibration.apply(plain)

    assert calibrated.answer_temperature == plain.temperature * result.calibration.temperature
    assert calibrated.sorted_own_probability is result.calibration.own_probability
    # New inputs fit worse than examples that were learnt by heart, so the threshold for 10 % of them is lower.
    honest, naive = calibrated.typicality.min_fit(0.1, None), plain.typicality.min_fit(0.1, None)
    assert honest is not None
    assert naive is not None
    assert honest < naive
