"""Which labels are taken for which, and the answers that were surest and wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glimpse.evaluate.splits import Split
from glimpse.evaluate.trial import Told
from glimpse.fewshot.vectors import Floats, Rows

_SHOWN = 30  # labels of a confusion matrix
_WORST = 24


@dataclass(frozen=True, slots=True)
class Mistake:
    """An input called something else: its place among the inputs, rows of labels, and how sure that was."""

    place: int
    truth: int
    said: int
    probability: float


@dataclass(slots=True)
class Mistakes:
    """Of all trials of one cell."""

    counts: Counter[tuple[int, int]] = field(default_factory=Counter)  # by (truth, said)
    worst: dict[int, Mistake] = field(default_factory=dict)  # by place

    def add(self, split: Split, told: Told, truth: Rows) -> None:
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

    def confusions(self, labels: Sequence[str], most: int = 1000) -> list[dict[str, str | int]]:
        """The commonest, first."""
        wrong = ((pair, count) for pair, count in self.counts.most_common() if pair[0] != pair[1])
        return [
            {"label": labels[truth], "taken_for": labels[said], "count": count}
            for ((truth, said), count), _ in zip(wrong, range(most), strict=False)
        ]
