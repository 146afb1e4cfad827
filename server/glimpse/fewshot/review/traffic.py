"""Estimates for the whole traffic from a sample of queries that was drawn decision by decision.

Each query is counted under its decision, and some queries of each decision are kept at random. A decision is a stratum:
its share of the traffic comes from the counts, its rate from the queries that were kept and answered. Whether a query
of a stratum is answered must not depend on how uncertain it is. Show the sample in a random order, apart from the
ranked list.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from glimpse.fewshot.statistics.confidence_interval import wilson_interval


@dataclass(frozen=True, slots=True)
class Stratum:
    """The queries of one decision.

    Attributes:
        queries: how many queries there were.
        answered: how many of them were kept and answered, at random.
        positive: how many of the answered ones have the property in question.
    """

    queries: int
    answered: int
    positive: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A rate over the whole traffic, with an interval of 95 %, each in [0, 1].

    Attributes:
        value: the rate.
        low: the lower end of the interval.
        high: the upper end.
        answered: the number of queries that were answered.
    """

    value: float
    low: float
    high: float
    answered: int


def estimate_rate(strata: Sequence[Stratum]) -> Estimate | None:
    """Estimates a rate over all queries from the answered ones of each stratum.

        p = Σ W_h p_h,   W_h = N_h / N,   p_h = x_h / n_h
        V = Σ W_h² q_h (1 - q_h) / n_h + Σ W_h (q_h - q)² / N,   q_h = (x_h + 1/2) / (n_h + 1),   q = Σ W_h q_h

    p weights each answered query by the inverse of its chance to be one (Horvitz and Thompson 1952). The second term of
    V is there because the shares W_h are estimated, too (Neyman 1938). The interval is Wilson's, with as many trials
    as would have the variance V: q (1 - q) / V (Korn and Graubard 1998). q_h is Jeffreys' estimate, so that V is not 0
    where the answered queries of a stratum are alike. A stratum without answers may have any rate; it counts as 1/2,
    and widens the interval by its whole share.

    Args:
        strata: the strata. Their answered queries are random ones of the stratum.

    Returns:
        The estimate; None if no query was answered.
    """
    known = [stratum for stratum in strata if stratum.answered]
    if not known:
        return None
    queries, total = sum(stratum.queries for stratum in known), sum(stratum.queries for stratum in strata)
    shares = [stratum.queries / queries for stratum in known]
    value = sum(share * stratum.positive / stratum.answered for share, stratum in zip(shares, known, strict=True))
    rates = [(stratum.positive + 0.5) / (stratum.answered + 1) for stratum in known]
    rate = sum(share * each for share, each in zip(shares, rates, strict=True))
    variance = 0.0
    for share, each, stratum in zip(shares, rates, known, strict=True):
        variance += share**2 * each * (1 - each) / stratum.answered + share * (each - rate) ** 2 / queries
    trials = rate * (1 - rate) / variance
    low, high = wilson_interval(value * trials, trials)
    part = queries / total
    rest = 1 - part
    answered = sum(stratum.answered for stratum in known)
    return Estimate(part * value + rest / 2, part * low, part * high + rest, answered)
