import numpy as np
import pytest

from glimpse.fewshot.review.traffic import Stratum, estimate_rate
from glimpse.fewshot.statistics.confidence_interval import wilson_interval

_REPLICATES = 4000


def _coverage(shares: list[float], rates: list[float], queries: int, answered: list[int]) -> float:
    """Returns how often the interval holds the true rate, if both the traffic and its sample are random."""
    rng, truth, hits = np.random.default_rng(7), float(np.dot(shares, rates)), 0
    for totals in rng.multinomial(queries, shares, _REPLICATES):
        sizes = np.minimum(totals, answered)
        positive = rng.binomial(sizes, rates)
        estimate = estimate_rate([Stratum(*map(int, row)) for row in zip(totals, sizes, positive, strict=True)])
        assert estimate is not None
        hits += estimate.low <= truth <= estimate.high
    return hits / _REPLICATES


@pytest.mark.parametrize(
    ("shares", "rates", "queries", "answered"),
    [
        ([0.6, 0.25, 0.15], [0.95, 0.6, 0.3], 5000, [50, 50, 50]),
        ([0.9, 0.08, 0.02], [0.99, 0.7, 0.1], 5000, [30, 30, 30]),
        ([0.5, 0.3, 0.2], [1.0, 0.5, 0.0], 2000, [20, 20, 20]),
        # Few queries: the shares themselves are uncertain.
        ([0.6, 0.3, 0.1], [0.95, 0.3, 0.05], 100, [60, 30, 10]),
    ],
)
def test_the_interval_covers_the_true_rate_as_often_as_it_claims(
    shares: list[float], rates: list[float], queries: int, answered: list[int]
) -> None:
    assert 0.94 <= _coverage(shares, rates, queries, answered) <= 0.995


def test_the_estimate_weights_each_stratum_by_its_share_of_the_traffic() -> None:
    estimate = estimate_rate([Stratum(9000, 100, 100), Stratum(1000, 400, 0)])
    assert estimate is not None
    assert estimate.value == pytest.approx(0.9)  # the answered queries alone would say 0.2
    assert estimate.answered == 500


def test_one_stratum_of_many_queries_has_the_interval_of_wilson() -> None:
    estimate = estimate_rate([Stratum(10**6, 40, 31)])
    assert estimate is not None
    assert (estimate.low, estimate.high) == pytest.approx(wilson_interval(31, 40), abs=0.01)


def test_a_stratum_without_answers_widens_the_interval_by_its_whole_share() -> None:
    estimate = estimate_rate([Stratum(700, 10**6, 10**6), Stratum(300, 0, 0)])
    assert estimate is not None
    assert estimate.value == pytest.approx(0.7 + 0.3 / 2)
    assert (estimate.low, estimate.high) == pytest.approx((0.7, 1.0), abs=1e-5)


def test_nothing_is_estimated_without_answers() -> None:
    assert estimate_rate([Stratum(100, 0, 0)]) is None
    assert estimate_rate([]) is None
