"""Start, slope and asymptote of learning curves, on curves whose figures are known."""

import numpy as np
import pytest

from glimpse.evaluate.figures.aggregation import AggregatedResult, TrialMetrics
from glimpse.evaluate.figures.transfer import transfer_benefits
from glimpse.evaluate.trials.trial import Contender


def curve(backbone: str, accuracies: dict[int, list[float]]) -> dict[int, AggregatedResult]:
    """Returns results with the given accuracy for each number of shots and seed."""
    results = {}
    for shots, values in accuracies.items():
        results[shots] = AggregatedResult(backbone, Contender(None), shots)
        for seed, value in enumerate(values):
            others = dict.fromkeys(TrialMetrics.__dataclass_fields__, 0.0)
            results[shots].trials[seed] = TrialMetrics(**{**others, "accuracy": value})
    return results


def test_the_three_benefits_are_differences_within_draws() -> None:
    # 10 and 4 points for each doubling; the second seed is 10 points easier for both.
    own = curve("b", {1: [0.5, 0.6], 2: [0.6, 0.7], 8: [0.8, 0.9]})
    baseline = curve("raw pixels", {1: [0.2, 0.3], 2: [0.24, 0.34], 8: [0.32, 0.42], 16: [0.4, 0.5]})
    found = transfer_benefits("b", {("b", "auto", shots): one for shots, one in own.items()}, baseline)
    assert found
    assert found.shots == [1, 2, 8]
    assert found.slope
    assert (found.start.gain.mean, found.asymptote.gain.mean) == pytest.approx((0.3, 0.48))
    assert (found.slope.transfer.mean, found.slope.baseline.mean, found.slope.gain.mean) == pytest.approx(
        (0.1, 0.04, 0.06)
    )
    assert found.start.transfer.half == pytest.approx(12.7062 * 0.05)
    for gain in (found.start.gain, found.slope.gain, found.asymptote.gain):
        assert gain.half == pytest.approx(0, abs=1e-9), "the draws differ, and the differences do not"


def test_the_slope_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    shots = [1, 2, 4, 16]
    own, without = (rng.random((4, 3)) for _ in range(2))
    results = curve("b", dict(zip(shots, own.tolist(), strict=True)))
    baseline = curve("bag of words", dict(zip(shots, without.tolist(), strict=True)))
    found = transfer_benefits("b", {("b", "auto", count): one for count, one in results.items()}, baseline)
    assert found
    assert found.slope
    slopes = [np.polyfit(np.log2(shots), values, 1)[0] for values in (own - without).T]
    assert found.slope.gain.mean == pytest.approx(np.mean(slopes))


def test_one_number_of_shots_has_no_slope_and_other_heads_no_benefit() -> None:
    baseline = curve("raw pixels", {4: [0.3, 0.4]})
    own = curve("b", {4: [0.5, 0.4]})[4]
    found = transfer_benefits("b", {("b", "auto", 4): own, ("b", "auto", 0): own}, baseline)
    assert found
    assert found.slope is None
    assert found.start == found.asymptote
    assert transfer_benefits("b", {("b", "lda", 4): own}, baseline) is None
