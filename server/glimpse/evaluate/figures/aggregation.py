"""Aggregates the trials of one backbone, head and number of shots over seeds."""

from collections import Counter
from dataclasses import dataclass, field, fields

import numpy as np

from glimpse.evaluate.figures.metrics import BINS, Interval, auroc, balanced_accuracy, calibration_error, reliability
from glimpse.evaluate.trials.trial import DECISIONS, Contender, Outcome, QueryPredictions
from glimpse.fewshot import Decision, Policy
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_STEPS = 20  # bins of a histogram of p-values
_UnknownMetrics = tuple[float | None, float | None, float | None, float | None, float | None]
_NOTHING: _UnknownMetrics = (None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class TrialMetrics:
    """The metrics of one trial; fractions are in [0, 1], None if not measured."""

    accuracy: float
    balanced_accuracy: float
    calibration_error: float
    #: The accuracy that the collection reports itself, by leave-one-out.
    left_out: float | None
    #: Inputs of known labels: rates of the decisions (`false_reject`: UNKNOWN), and the accuracy of MATCH.
    match: float
    ambiguous: float
    false_reject: float
    accuracy_of_matches: float | None
    #: How often the prediction set contains the right label, and its mean size.
    coverage: float | None
    set_size: float | None
    #: Unknown inputs: rates of UNKNOWN and of MATCH.
    caught: float | None
    false_accept: float | None
    #: The rate of UNKNOWN that the collection expects, by leaving out each of its labels.
    expected: float | None
    #: Known against unknown inputs: AUROC of the fit, of the cosine to the nearest centre, and of the greatest softmax.
    auroc: float | None
    auroc_cosine: float | None
    auroc_softmax: float | None
    fit_seconds: float


@dataclass(slots=True)
class Histogram:
    """Counts of known and unknown inputs by a measure. Inputs to the left of `threshold` are called UNKNOWN."""

    measure: str
    low: float
    high: float
    threshold: float | None
    known: Floats
    unknown: Floats


@dataclass(slots=True)
class AggregatedResult:
    """The trials of one backbone, head and number of shots, by seed."""

    backbone: str
    contender: Contender
    shots: int
    trials: dict[int, TrialMetrics] = field(default_factory=dict)
    #: In how many trials each head answered.
    heads: Counter[str] = field(default_factory=Counter)
    bins: Floats = field(default_factory=lambda: np.zeros((BINS, 3)))
    histograms: dict[str, Histogram] = field(default_factory=dict)

    def add(self, seed: int, outcome: Outcome, truth: Rows, policy: Policy) -> None:
        """Adds a trial; `truth` holds the right labels' rows, `(n,)`."""
        predictions = outcome.queries
        bins = reliability(predictions.probability, predictions.label == truth)
        self.bins += bins
        self.heads[outcome.head.value.replace("_", "-")] += 1
        self.trials[seed] = metrics_of(outcome, truth)
        histogram = self.histograms.setdefault(outcome_measure(outcome), _histogram(outcome, policy))
        histogram.known += _counts(histogram, predictions)
        if outcome.unknown is not None:
            histogram.unknown += _counts(histogram, outcome.unknown)

    def answered(self) -> bool:
        """Returns whether the pinned head answered at all, rather than its replacement for few examples."""
        pinned = self.contender.pinned
        return pinned is None or any(name.startswith(pinned.value.replace("_", "-")) for name in self.heads)

    def values(self, name: str) -> list[float]:
        """Returns one metric of every trial that has it."""
        values = (getattr(metrics, name) for metrics in self.trials.values())
        return [value for value in values if value is not None]

    def interval(self, name: str) -> Interval | None:
        """Returns a metric's mean and interval over the trials; None if no trial has it."""
        values = self.values(name)
        return Interval.of(values) if values else None

    def summary(self) -> dict[str, Interval | None]:
        """Returns every metric over the trials."""
        return {item.name: self.interval(item.name) for item in fields(TrialMetrics)}


def metrics_of(outcome: Outcome, truth: Rows) -> TrialMetrics:
    """Computes a trial's metrics; `truth` holds the right labels' rows, `(n,)`."""
    predictions, unknown = outcome.queries, outcome.unknown
    right = predictions.label == truth
    decided = {item: predictions.decision == DECISIONS.index(item) for item in DECISIONS}
    matches = decided[Decision.MATCH]
    caught, accepted, fit, cosine, softmax = (
        _NOTHING if unknown is None else _unknown_metrics(predictions, unknown, outcome.calibrated)
    )
    return TrialMetrics(
        float(right.mean()),
        balanced_accuracy(truth, predictions.label),
        calibration_error(reliability(predictions.probability, right)),
        outcome.left_out,
        float(matches.mean()),
        float(decided[Decision.AMBIGUOUS].mean()),
        float(decided[Decision.UNKNOWN].mean()),
        float(right[matches].mean()) if matches.any() else None,
        _mean(predictions.held),
        _mean(predictions.set_size),
        caught,
        accepted,
        outcome.expected,
        fit,
        cosine,
        softmax,
        outcome.seconds,
    )


def _mean(values: Floats) -> float | None:
    """Returns the mean of the finite values, or None."""
    some = values[~np.isnan(values)]
    return float(some.mean()) if len(some) else None


def _unknown_metrics(known: QueryPredictions, unknown: QueryPredictions, calibrated: bool) -> _UnknownMetrics:
    return (
        float((unknown.decision == DECISIONS.index(Decision.UNKNOWN)).mean()),
        float((unknown.decision == DECISIONS.index(Decision.MATCH)).mean()),
        auroc(known.fit, unknown.fit) if calibrated else None,
        auroc(known.cosine, unknown.cosine),
        auroc(known.softmax, unknown.softmax),
    )


def outcome_measure(outcome: Outcome) -> str:
    """Returns the measure that decides UNKNOWN in a trial."""
    return "p-value" if outcome.by_fit else "cosine"


def _histogram(outcome: Outcome, policy: Policy) -> Histogram:
    low, threshold = (0.0, policy.false_reject) if outcome.by_fit else (-1.0, policy.default_threshold)
    steps = _STEPS if outcome.by_fit else 2 * _STEPS
    return Histogram(outcome_measure(outcome), low, 1.0, threshold, np.zeros(steps), np.zeros(steps))


def _counts(histogram: Histogram, predictions: QueryPredictions) -> Floats:
    values = predictions.p_value if histogram.measure == "p-value" else predictions.similarity
    # A p-value equal to the target is rejected, so bins include their upper edges.
    edges = np.linspace(histogram.low, histogram.high, len(histogram.known) + 1)
    places = np.clip(np.searchsorted(edges, values - 1e-9, "right") - 1, 0, len(histogram.known) - 1)
    return np.bincount(places, minlength=len(histogram.known)).astype(np.float64)
