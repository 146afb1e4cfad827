"""How good answers are: counted as they come, then figures with their intervals."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from glimpse.client import Classification, Decision, Estimate
from glimpse.fewshot.statistics.confidence_interval import wilson

_DECISIONS = (Decision.MATCH, Decision.AMBIGUOUS, Decision.UNKNOWN)
_NAMED = 1_000  # failed inputs that the record names


@dataclass(slots=True)
class Counts:
    """What became of inputs.

    `lacking` counts those of a label that is no class of the collection. Each input is in one of `answered`,
    `enrolled`, `failed` and `lacking`; where enrolled ones are asked about, they are `answered` or `failed` as well.
    """

    inputs: int = 0
    answered: int = 0
    enrolled: int = 0
    failed: int = 0
    lacking: Counter[str] = field(default_factory=Counter)
    decisions: Counter[Decision] = field(default_factory=Counter)


@dataclass(slots=True)
class Score:
    """A collection's answers to inputs whose right answer is known.

    Attributes:
        known: Inputs of the collection's classes.
        unknown: Inputs of no class: those of `--unknown`, and those of negative labels.
        pairs: Answers to known inputs by the right label and the best label in the answer.
        matched: Answers to known inputs that were MATCH, by whether they were right.
        taken_for: Answers to unknown inputs that were MATCH, by their label.
        failures: Why inputs failed, by their names; the first thousand.
        revisions: The collection's, as answers gave them.
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

    def add(self, label: str | None, answer: Classification) -> None:
        """Counts an answer. `label` is the right one; None: the input belongs to none."""
        counts = self.counts(label is None)
        counts.answered += 1
        counts.decisions[answer.decision] += 1
        self.revisions.add(answer.revision)
        is_match = answer.decision is Decision.MATCH
        if label is not None:
            self.pairs[label, answer.label] += 1
            self.by_label[label, answer.decision] += 1
            if is_match:
                self.matched[answer.label == label] += 1
        elif is_match:
            self.taken_for[answer.label] += 1

    def counts(self, is_unknown: bool) -> Counts:
        """Counts of the known or of the unknown inputs."""
        return self.unknown if is_unknown else self.known

    def fail(self, is_unknown: bool, name: str, why: str) -> None:
        """Counts an input that failed."""
        self.counts(is_unknown).failed += 1
        if len(self.failures) < _NAMED:
            self.failures[name] = why

    @property
    def accuracy(self) -> Estimate | None:
        """How many known inputs have the right best label, whatever the decision."""
        right = sum(count for (truth, said), count in self.pairs.items() if truth == said)
        return proportion(right, self.pairs.total())

    @property
    def match_accuracy(self) -> Estimate | None:
        """How many answers of MATCH to known inputs are right."""
        return proportion(self.matched[True], self.matched.total())

    @property
    def false_accept(self) -> Estimate | None:
        """How many unknown inputs are called MATCH."""
        return proportion(self.taken_for.total(), self.unknown.answered)

    def confusions(self) -> Iterator[dict[str, Any]]:
        """The commonest wrong pairs first."""
        for (truth, said), count in self.pairs.most_common():
            if truth != said:
                yield {"label": truth, "answered_label": said, "count": count}

    def labels(self) -> list[dict[str, Any]]:
        """Figures of every label that was asked about or answered, those that are recognised worst first."""
        asked, said, right = Counter[str](), Counter[str](), Counter[str]()
        for (truth, answer), count in self.pairs.items():
            asked[truth] += count
            said[answer] += count
            right[truth] += count if truth == answer else 0
        figures = [
            {
                "label": label,
                "inputs": asked[label],
                "answered": said[label],
                "right": right[label],
                "recall": right[label] / asked[label] if asked[label] else None,
                "precision": right[label] / said[label] if said[label] else None,
                "decisions": _by_name({one: self.by_label[label, one] for one in _DECISIONS}),
            }
            for label in asked.keys() | said.keys()
            if label
        ]
        return sorted(figures, key=lambda one: (1.0 if one["recall"] is None else one["recall"], one["label"]))


def proportion(count: int, of: int) -> Estimate | None:
    """A part with its 95 % interval by Wilson; None: of nothing there is none."""
    if not of:
        return None
    low, high = wilson(count, of)
    return Estimate(count / of, low, high, of)


def record(score: Score) -> dict[str, Any]:
    """Every figure. Parts are in [0, 1], with their intervals; null: of nothing."""
    known, unknown = score.known, score.unknown
    return {
        "revision": max(score.revisions),
        "with_enrolled": score.with_enrolled,
        "inputs": known.inputs,
        "answered": known.answered,
        "enrolled": known.enrolled,
        "label_missing": known.lacking.total(),
        "failed": known.failed,
        "accuracy": _plain(score.accuracy),
        "decisions": _by_name(known.decisions),
        "match_accuracy": _plain(score.match_accuracy),
        "unknown": {
            "inputs": unknown.inputs,
            "answered": unknown.answered,
            "enrolled": unknown.enrolled,
            "failed": unknown.failed,
            "decisions": _by_name(unknown.decisions),
            "false_accept": _plain(score.false_accept),
            "taken_for": [{"label": label, "count": count} for label, count in score.taken_for.most_common()],
        },
        "labels": score.labels(),
        "confusions": list(score.confusions()),
        "labels_missing": [{"label": label, "count": count} for label, count in known.lacking.most_common()],
        "failures": [{"input": name, "message": why} for name, why in score.failures.items()],
    }


def _plain(part: Estimate | None) -> dict[str, Any] | None:
    return asdict(part) if part else None


def _by_name(decisions: Mapping[Decision, int]) -> dict[str, int]:
    return {one.name: decisions[one] for one in _DECISIONS}
