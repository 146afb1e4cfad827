"""Which labels are taken for which, and the answers that were surest and wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.trials.trial import QueryPredictions
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_SHOWN = 30  # labels of a confusion matrix
_WORST = 24


@dataclass(frozen=True, slots=True)
class Mistake:
    """An input called something else: its place among the inputs, rows of labels, and how sure that was."""

    place: int
    truth: int
    said: int
    probability: float


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """One label over all trials. Parts in [0, 1]; None: there was no such answer.

    `asked` counts its inputs, `recall` is the part of these that was called it, `precision` the part of what was called
    it that was it. `taken_for` is the label that its inputs were called most often in its place.
    """

    label: str
    asked: int
    recall: float | None
    precision: float | None
    taken_for: str | None


@dataclass(slots=True)
class Confusions:
    """Of all trials of one cell."""

    counts: Counter[tuple[int, int]] = field(default_factory=Counter)  # by (truth, said)
    worst: dict[int, Mistake] = field(default_factory=dict)  # by place

    def add(self, split: Split, told: QueryPredictions, truth: Rows) -> None:
        """One more trial, with the true labels' rows, (n,)."""
        pairs, counts = np.unique(np.stack([truth, told.said], axis=1), axis=0, return_counts=True)
        for (right, said), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self.counts[right, said] += count
        wrong = np.flatnonzero(told.said != truth)
        for i in wrong[np.argsort(-told.probability[wrong], kind="stable")][:_WORST]:
            place, probability = int(split.queries[i]), float(told.probability[i])
            if place not in self.worst or self.worst[place].probability < probability:
                self.worst[place] = Mistake(place, int(truth[i]), int(told.said[i]), probability)

    def surest(self) -> list[Mistake]:
        """The surest, each input once."""
        return sorted(self.worst.values(), key=lambda one: (-one.probability, one.place))[:_WORST]

    def matrix(self, labels: Sequence[str]) -> tuple[list[str], Floats]:
        """Parts of each label's inputs by what they were called, (k, k); where labels are many, the most confused."""
        missed = np.zeros(len(labels))
        for (truth, said), count in self.counts.items():
            if truth != said:
                missed[[truth, said]] += count
        some = np.sort(np.argsort(-missed, kind="stable")[:_SHOWN])
        place = {int(row): i for i, row in enumerate(some)}
        totals, parts = np.zeros(len(some)), np.zeros((len(some), len(some)))
        for (truth, said), count in self.counts.items():
            if truth in place:
                totals[place[truth]] += count
                if said in place:
                    parts[place[truth], place[said]] = count
        return [labels[row] for row in some], parts / np.maximum(totals, 1)[:, None]

    def per_label(self, labels: Sequence[str]) -> list[LabelFigures]:
        """Figures of every label, those that are recognised worst first."""
        asked, said, right = Counter[int](), Counter[int](), Counter[int]()
        taken_for: dict[int, int] = {}
        for (truth, answer), count in self.counts.most_common():
            asked[truth] += count
            said[answer] += count
            if truth == answer:
                right[truth] += count
            else:
                taken_for.setdefault(truth, answer)  # the commonest comes first
        figures = [
            LabelFigures(
                label,
                asked[row],
                right[row] / asked[row] if asked[row] else None,
                right[row] / said[row] if said[row] else None,
                labels[taken_for[row]] if row in taken_for else None,
            )
            for row, label in enumerate(labels)
        ]
        return sorted(figures, key=lambda one: (1.0 if one.recall is None else one.recall, one.label))

    def most_common(self, labels: Sequence[str], most: int = 1000) -> list[dict[str, str | int]]:
        """The commonest, first."""
        wrong = ((pair, count) for pair, count in self.counts.most_common() if pair[0] != pair[1])
        return [
            {"label": labels[truth], "taken_for": labels[said], "count": count}
            for ((truth, said), count), _ in zip(wrong, range(most), strict=False)
        ]
