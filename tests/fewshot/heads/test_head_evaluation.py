"""Tests suspects, and the temperature of new inputs."""

from dataclasses import replace

import numpy as np
import pytest

from glimpse.fewshot import Examples, HeadKind, fit, normalize
from glimpse.fewshot.calibration.calibration import growth


def test_suspects_are_ordered_by_their_own_probability_and_the_confident_are_marked() -> None:
    rng = np.random.default_rng(0)
    rows = np.repeat(np.arange(3), 6)
    vectors = normalize((rng.normal(size=(3, 32))[rows] + 0.5 * rng.normal(size=(18, 32))).astype(np.float32))
    evaluation = replace(
        fit(Examples(vectors, rows, ["a", "b", "c"])).evaluations[HeadKind.LDA],
        predicted=np.array([0, 1, 0, 1, 1, 2]),
        predicted_probability=np.array([0.9, 0.95, 0.6, 0.8, 0.7, 0.5]),
        own_probability=np.array([0.9, 0.01, 0.3, 0.8, 0.7, 0.5]),
    )
    own = np.array([0, 0, 1, 1, 1, 2])
    assert evaluation.suspects(own).tolist() == [1, 2]
    # Means of own probabilities: a 0.455, b 0.6, c 0.5. The second is 0.95 > 0.6; the third is 0.6 > 0.455.
    assert evaluation.confident(own).tolist() == [False, True, True, False, False, False]
    less = replace(evaluation, predicted_probability=np.array([0.9, 0.59, 0.4, 0.8, 0.7, 0.5]))
    assert not less.confident(own).any()


@pytest.mark.parametrize("shots", [2, 4, 8])
def test_new_inputs_have_a_lower_temperature_than_examples_left_out(shots: int) -> None:
    rng = np.random.default_rng(1)
    rows = np.repeat(np.arange(3), shots)
    vectors = normalize((rng.normal(size=(3, 32))[rows] + rng.normal(size=(len(rows), 32))).astype(np.float32))
    texts = {name: normalize(rng.normal(size=(1, 32)).astype(np.float32))[0] for name in ("a", "b", "c")}
    evaluations = fit(Examples(vectors, rows, ["a", "b", "c"], texts)).evaluations
    lda, prompts = evaluations[HeadKind.LDA], evaluations[HeadKind.PROMPTS]
    assert lda.answer_temperature / lda.temperature == pytest.approx(((shots + 1) / (shots + 2)) ** 0.5)
    assert prompts.answer_temperature == prompts.temperature
    # Without text, centres are pulled to the mean of all labels, which lets the scores grow instead.
    without_text = fit(Examples(vectors, rows, ["a", "b", "c"], {})).evaluations
    lda, mean = without_text[HeadKind.LDA], without_text[HeadKind.CLASS_MEAN]
    assert lda.answer_temperature == lda.temperature
    assert mean.answer_temperature / mean.temperature == pytest.approx(((shots - 1) / shots) ** 0.5)
    assert growth(np.array([4.0, 4.0]), np.array([1.0, 3.0])) == pytest.approx(0.5**0.5)
    assert growth(np.array([1.0]), np.array([1.0])) == 1
