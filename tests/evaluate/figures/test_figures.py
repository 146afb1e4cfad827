"""Tests metrics against values computed by hand."""

import numpy as np
import pytest

from glimpse.evaluate.figures.aggregation import AggregatedResult, TrialMetrics
from glimpse.evaluate.figures.comparison import Key, differences, summary
from glimpse.evaluate.figures.metrics import (
    Interval,
    auroc,
    balanced_accuracy,
    calibration_error,
    reliability,
    t_quantile,
)
from glimpse.evaluate.trials.trial import Contender


def test_balanced_accuracy_weighs_labels_alike() -> None:
    truth, predicted = np.array([0, 0, 0, 0, 1, 2]), np.array([0, 0, 0, 1, 2, 2])
    assert balanced_accuracy(truth, predicted) == pytest.approx((3 / 4 + 0 + 1) / 3)


def test_balanced_accuracy_leaves_out_labels_without_queries() -> None:
    assert balanced_accuracy(np.array([0, 2]), np.array([0, 0])) == pytest.approx(0.5)


def test_calibration_error_is_the_mean_gap_by_bin() -> None:
    # With bins of width 1/15, 0.90 and 0.92 share a bin, 0.5 has another, and 1.0 is in the last.
    probabilities, right = np.array([0.9, 0.92, 0.5, 1.0]), np.array([True, False, True, True])
    bins = reliability(probabilities, right)
    assert bins[:, 0].sum() == 4
    assert bins[13].tolist() == pytest.approx([2, 1.82, 1])
    assert calibration_error(bins) == pytest.approx((abs(1.82 - 1) + abs(0.5 - 1) + 0) / 4)


def test_auroc_counts_ties_half() -> None:
    known, unknown = np.array([0.9, 0.5, 0.1]), np.array([0.5, 0.2])
    assert auroc(known, unknown) == pytest.approx((2 + 1.5 + 0) / 6)


def test_the_interval_is_students() -> None:
    found = Interval.of([0.5, 0.6, 0.7])
    half = 4.3027 * 0.1 / 3**0.5
    assert (found.low, found.mean, found.high) == pytest.approx((0.6 - half, 0.6, 0.6 + half))
    single = Interval.of([0.5])
    assert (single.low, single.high, single.half) == (None, None, None)


@pytest.mark.parametrize(("freedom", "wanted"), [(9, 2.2622), (11, 2.2010), (19, 2.0930), (60, 2.0003)])
def test_the_quantile_is_the_tables(freedom: int, wanted: float) -> None:
    assert t_quantile(freedom) == pytest.approx(wanted, abs=2e-4)


def results(**accuracies: list[float]) -> dict[Key, AggregatedResult]:
    """Returns results for one number of shots, one per backbone."""
    made = {}
    for name, values in accuracies.items():
        trials = {seed: TrialMetrics(value, *(0.0,) * 16) for seed, value in enumerate(values)}
        made[name, "auto", 4] = AggregatedResult(name, Contender(None), 4, trials)
    return made


def test_backbones_are_compared_on_the_same_draws() -> None:
    # The draws differ far more than the backbones, which differ by the same amount in each draw.
    made = results(a=[0.50, 0.70, 0.90], b=[0.48, 0.68, 0.88])
    [gap] = differences(made, ["b", "a"], [4])
    assert (gap.first, gap.second, gap.clear) == ("a", "b", True)
    assert gap.accuracy.mean == pytest.approx(0.02)
    assert "a suits these data better than b: 2.0 points" in summary(made, ["b", "a"], [4])


def test_backbones_that_win_alternately_do_not_differ() -> None:
    made = results(a=[0.5, 0.7, 0.9], b=[0.6, 0.5, 0.9])
    assert "do not differ clearly with 4 examples a label" in summary(made, ["a", "b"], [4])
