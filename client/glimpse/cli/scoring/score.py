"""Counts classifications of labelled inputs, and computes accuracy and other figures with their intervals."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from glimpse.client import Classification, Decision, Estimate
from glimpse.fewshot.statistics.confidence_interval import wilson_interval

_DECISIONS = (Decision.MATCH, Decision.AMBIGUOUS, Decision.UNKNOWN)
_MAX_FAILURES = 1_000  # failed inputs that the record contains


@dataclass(slots=True)
class Counts:
    """Counts of inputs by result.

    Each input is in one of `answered`, `enrolled`, `group_enrolled`, `failed` and `lacking`. If enrolled inputs are
    classified too, they are also in `answered` or `failed`.

    Attributes:
        inputs: All inputs.
        answered: Inputs that were classified.
        enrolled: Inputs whose bytes are enrolled as an example.
        group_enrolled: Other inputs whose group has an example.
        failed: Inputs that could not be read or classified.
        lacking: Inputs of labels that are not classes of the collection, by label.
        decisions: Classified inputs by decision.
    """

    inputs: int = 0
    answered: int = 0
    enrolled: int = 0
    group_enrolled: int = 0
    failed: int = 0
    lacking: Counter[str] = field(default_factory=Counter)
    decisions: Counter[Decision] = field(default_factory=Counter)


@dataclass(slots=True)
class Score:
    """The results of a collection on inputs whose true label is known.

    Attributes:
        with_enrolled: Whether inputs that are enrolled are counted too.
        known: Inputs of the collection's classes.
        unknown: Inputs out of distribution: those of `--unknown`, and those of negative labels.
        pairs: Known inputs by true label and best label.
        by_label: Known inputs by true label and decision.
        matched: Known inputs that were MATCH, by whether the label was right.
        taken_for: Unknown inputs that were MATCH, by label.
        failures: Messages of failed inputs, by name; the first thousand.
        revisions: The collection's revisions during the run.
    """

    with_enrolled: bool
    known: Counts = field(default_factory=Counts)
    unknown: Counts = field(default_factory=Counts)
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    by_label: Counter[tuple[str, Decision]] = field(default_factory=Counter)
    matched: Counter[bool] = field(default_factory=Counter)
    taken_for: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    revisions: set[int] = field(default_factory=set)

    def add(self, label: str | None, result: Classification) -> None:
        """Counts a classification. `label` is the true label; None if the input is out of distribution."""
        counts = self.counts(label is None)
        counts.answered += 1
        counts.decisions[result.decision] += 1
        self.revisions.add(result.revision)
        is_match = result.decision is Decision.MATCH
        if label is not None:
            self.pairs[label, result.label] += 1
            self.by_label[label, result.decision] += 1
            if is_match:
                self.matched[result.label == label] += 1
        elif is_match:
            self.taken_for[result.label] += 1

    def counts(self, is_unknown: bool) -> Counts:
        """Returns the counts of the known or of the unknown inputs."""
        return self.unknown if is_unknown else self.known

    def fail(self, is_unknown: bool, name: str, message: str) -> None:
        """Counts an input that failed."""
        self.counts(is_unknown).failed += 1
        if len(self.failures) < _MAX_FAILURES:
            self.failures[name] = message

    @property
    def accuracy(self) -> Estimate | None:
        """The fraction of known inputs whose best label is right, with any decision."""
        right = sum(count for (truth, best), count in self.pairs.items() if truth == best)
        return proportion(right, self.pairs.total())

    @property
    def match_accuracy(self) -> Estimate | None:
        """The fraction of known inputs with the decision MATCH whose label is right."""
        return proportion(self.matched[True], self.matched.total())

    @property
    def false_reject(self) -> Estimate | None:
        """The fraction of known inputs that are UNKNOWN."""
        return proportion(self.known.decisions[Decision.UNKNOWN], self.known.answered)

    @property
    def rejected(self) -> Estimate | None:
        """The fraction of unknown inputs that are UNKNOWN."""
        return proportion(self.unknown.decisions[Decision.UNKNOWN], self.unknown.answered)

    @property
    def false_accept(self) -> Estimate | None:
        """The fraction of unknown inputs that are MATCH."""
        return proportion(self.taken_for.total(), self.unknown.answered)

    def confusions(self) -> Iterator[dict[str, Any]]:
        """Yields the pairs of true and wrong best label, commonest first."""
        for (truth, best), count in self.pairs.most_common():
            if truth != best:
                yield {"label": truth, "answered_label": best, "count": count}

    def labels(self) -> list[dict[str, Any]]:
        """Returns the figures of every label that is a true or best label, lowest recall first."""
        inputs, predicted, right = Counter[str](), Counter[str](), Counter[str]()
        for (truth, best), count in self.pairs.items():
            inputs[truth] += count
            predicted[best] += count
            right[truth] += count if truth == best else 0
        figures = [
            {
                "label": label,
                "inputs": inputs[label],
                "answered": predicted[label],
                "right": right[label],
                "recall": right[label] / inputs[label] if inputs[label] else None,
                "precision": right[label] / predicted[label] if predicted[label] else None,
                "decisions": _by_name({decision: self.by_label[label, decision] for decision in _DECISIONS}),
            }
            for label in inputs.keys() | predicted.keys()
            if label
        ]
        return sorted(figures, key=lambda row: (1.0 if row["recall"] is None else row["recall"], row["label"]))


def proportion(count: int, total: int) -> Estimate | None:
    """Returns `count / total` with its 95 % Wilson interval; None if `total` is 0."""
    if not total:
        return None
    low, high = wilson_interval(count, total)
    return Estimate(count / total, low, high, total)


def record(score: Score) -> dict[str, Any]:
    """Returns every figure. Fractions are in [0, 1], with their intervals; None if there is no input to measure."""
    known, unknown = score.known, score.unknown
    return {
        "revision": max(score.revisions),
        "with_enrolled": score.with_enrolled,
        "inputs": known.inputs,
        "answered": known.answered,
        "enrolled": known.enrolled,
        "group_enrolled": known.group_enrolled,
        "label_missing": known.lacking.total(),
        "failed": known.failed,
        "accuracy": _plain(score.accuracy),
        "decisions": _by_name(known.decisions),
        "match_accuracy": _plain(score.match_accuracy),
        "false_reject": _plain(score.false_reject),
        "unknown": {
            "inputs": unknown.inputs,
            "answered": unknown.answered,
            "enrolled": unknown.enrolled,
            "group_enrolled": unknown.group_enrolled,
            "failed": unknown.failed,
            "decisions": _by_name(unknown.decisions),
            "rejected": _plain(score.rejected),
            "false_accept": _plain(score.false_accept),
            "taken_for": [{"label": label, "count": count} for label, count in score.taken_for.most_common()],
        },
        "labels": score.labels(),
        "confusions": list(score.confusions()),
        "labels_missing": [{"label": label, "count": count} for label, count in known.lacking.most_common()],
        "failures": [{"input": name, "message": message} for name, message in score.failures.items()],
    }


def _plain(estimate: Estimate | None) -> dict[str, Any] | None:
    return asdict(estimate) if estimate else None


def _by_name(decisions: Mapping[Decision, int]) -> dict[str, int]:
    return {decision.name: decisions[decision] for decision in _DECISIONS}
