"""Trials of one backbone, head and number of shots, put together over seeds."""

from collections import Counter
from dataclasses import dataclass, field, fields

import numpy as np

from glimpse.evaluate.figures.metrics import BINS, Interval, auroc, balanced_accuracy, calibration_error, reliability
from glimpse.evaluate.trials.trial import DECISIONS, Contender, Outcome, QueryPredictions
from glimpse.fewshot import Decision, Policy
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_STEPS = 20  # of a histogram
_OfStrangers = tuple[float | None, float | None, float | None, float | None, float | None]
_NOTHING: _OfStrangers = (None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class TrialMetrics:
    """One trial's, parts in [0, 1]. None: could not be measured."""

    accuracy: float
    balanced_accuracy: float
    calibration_error: float
    #: What the collection would say of its own accuracy, by leaving out.
    left_out: float | None
    #: Of inputs of known labels: the decisions, and how often a MATCH was right. `false_reject`: called UNKNOWN.
    match: float
    ambiguous: float
    false_reject: float
    accuracy_of_matches: float | None
    #: How often the prediction set holds the right label, of those that have one; and how many labels it has.
    coverage: float | None
    set_size: float | None
    #: Of strangers: called UNKNOWN, and called MATCH.
    caught: float | None
    false_accept: float | None
    #: What the collection would expect to catch, by leaving out each of its labels.
    expected: float | None
    #: How often something known fits better than a stranger; and by the plain measures.
    auroc: float | None
    auroc_cosine: float | None
    auroc_softmax: float | None
    fit_seconds: float


@dataclass(slots=True)
class Histogram:
    """How many known inputs and strangers lie where. What is left of `threshold` is called UNKNOWN."""

    measure: str
    low: float
    high: float
    threshold: float | None
    known: Floats
    unknown: Floats


@dataclass(slots=True)
class AggregatedResult:
    """One backbone, head and number of shots; its trials by seed."""

    backbone: str
    contender: Contender
    shots: int
    trials: dict[int, TrialMetrics] = field(default_factory=dict)
    #: The heads that answered, and in how many trials.
    heads: Counter[str] = field(default_factory=Counter)
    bins: Floats = field(default_factory=lambda: np.zeros((BINS, 3)))
    histograms: dict[str, Histogram] = field(default_factory=dict)

    def add(self, seed: int, outcome: Outcome, truth: Rows, policy: Policy) -> None:
        """One more trial, with the true labels' rows, (n,)."""
        told = outcome.queries
        bins = reliability(told.probability, told.said == truth)
        self.bins += bins
        self.heads[outcome.head.value.replace("_", "-")] += 1
        self.trials[seed] = figures_of(outcome, truth)
        shown = self.histograms.setdefault(outcome_measure(outcome), _histogram(outcome, policy))
        shown.known += _counts(shown, told)
        if outcome.unknown is not None:
            shown.unknown += _counts(shown, outcome.unknown)

    def answered(self) -> bool:
        """Whether the head asked for answered at all, rather than the one that takes its place with few examples."""
        pinned = self.contender.pinned
        return pinned is None or any(name.startswith(pinned.value.replace("_", "-")) for name in self.heads)

    def values(self, name: str) -> list[float]:
        """One figure of every trial that has it."""
        found = (getattr(figures, name) for figures in self.trials.values())
        return [value for value in found if value is not None]

    def interval(self, name: str) -> Interval | None:
        """A figure over the trials; None: no trial has it."""
        values = self.values(name)
        return Interval.of(values) if values else None

    def summary(self) -> dict[str, Interval | None]:
        """Every figure over the trials."""
        return {one.name: self.interval(one.name) for one in fields(TrialMetrics)}


def figures_of(outcome: Outcome, truth: Rows) -> TrialMetrics:
    """What a trial's answers come to, with the true labels' rows, (n,)."""
    told, unknown = outcome.queries, outcome.unknown
    right = told.said == truth
    decided = {one: told.decision == DECISIONS.index(one) for one in DECISIONS}
    matches = decided[Decision.MATCH]
    caught, taken, own, cosine, softmax = (
        _NOTHING if unknown is None else _of_strangers(told, unknown, outcome.calibrated)
    )
    return TrialMetrics(
        float(right.mean()),
        balanced_accuracy(truth, told.said),
        calibration_error(reliability(told.probability, right)),
        outcome.left_out,
        float(matches.mean()),
        float(decided[Decision.AMBIGUOUS].mean()),
        float(decided[Decision.UNKNOWN].mean()),
        float(right[matches].mean()) if matches.any() else None,
        _mean(told.held),
        _mean(told.set_size),
        caught,
        taken,
        outcome.expected,
        own,
        cosine,
        softmax,
        outcome.seconds,
    )


def _mean(values: Floats) -> float | None:
    """Of those that are numbers."""
    some = values[~np.isnan(values)]
    return float(some.mean()) if len(some) else None


def _of_strangers(known: QueryPredictions, unknown: QueryPredictions, calibrated: bool) -> _OfStrangers:
    return (
        float((unknown.decision == DECISIONS.index(Decision.UNKNOWN)).mean()),
        float((unknown.decision == DECISIONS.index(Decision.MATCH)).mean()),
        auroc(known.fit, unknown.fit) if calibrated else None,
        auroc(known.cosine, unknown.cosine),
        auroc(known.softmax, unknown.softmax),
    )


def outcome_measure(outcome: Outcome) -> str:
    """What a trial's decision for UNKNOWN rests on."""
    return "p-value" if outcome.by_fit else "cosine"


def _histogram(outcome: Outcome, policy: Policy) -> Histogram:
    low, threshold = (0.0, policy.false_reject) if outcome.by_fit else (-1.0, policy.default_threshold)
    steps = _STEPS if outcome.by_fit else 2 * _STEPS
    return Histogram(outcome_measure(outcome), low, 1.0, threshold, np.zeros(steps), np.zeros(steps))


def _counts(histogram: Histogram, told: QueryPredictions) -> Floats:
    values = told.p_value if histogram.measure == "p-value" else told.similarity
    # A p-value that is the target itself is refused: bins hold their upper ends.
    edges = np.linspace(histogram.low, histogram.high, len(histogram.known) + 1)
    places = np.clip(np.searchsorted(edges, values - 1e-9, "right") - 1, 0, len(histogram.known) - 1)
    return np.bincount(places, minlength=len(histogram.known)).astype(np.float64)
