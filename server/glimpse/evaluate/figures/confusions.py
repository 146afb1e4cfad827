"""Counts which labels are predicted for which, and collects the most certain wrong predictions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glimpse.evaluate.data.splits import Split
from glimpse.evaluate.trials.trial import QueryPredictions
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_SHOWN = 30  # the most labels of a confusion matrix
_WORST = 24


@dataclass(frozen=True, slots=True)
class Mistake:
    """A wrong prediction: the input's position, rows of the right and the predicted label, and the probability."""

    place: int
    truth: int
    predicted: int
    probability: float


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """One label over all trials. Fractions are in [0, 1]; None if there was no such prediction.

    Attributes:
        asked: queries of the label.
        recall: the fraction of these that were predicted correctly.
        precision: the fraction of predictions of the label that were correct.
        taken_for: the label that was most often predicted instead.
    """

    label: str
    asked: int
    recall: float | None
    precision: float | None
    taken_for: str | None


@dataclass(slots=True)
class Confusions:
    """The confusions of all trials of one result."""

    counts: Counter[tuple[int, int]] = field(default_factory=Counter)  # by (truth, prediction)
    worst: dict[int, Mistake] = field(default_factory=dict)  # by position

    def add(self, split: Split, predictions: QueryPredictions, truth: Rows) -> None:
        """Adds a trial; `truth` holds the right labels' rows, `(n,)`."""
        pairs, counts = np.unique(np.stack([truth, predictions.label], axis=1), axis=0, return_counts=True)
        for (right, predicted), count in zip(pairs.tolist(), counts.tolist(), strict=True):
            self.counts[right, predicted] += count
        wrong = np.flatnonzero(predictions.label != truth)
        for i in wrong[np.argsort(-predictions.probability[wrong], kind="stable")][:_WORST]:
            place, probability = int(split.queries[i]), float(predictions.probability[i])
            if place not in self.worst or self.worst[place].probability < probability:
                self.worst[place] = Mistake(place, int(truth[i]), int(predictions.label[i]), probability)

    def surest(self) -> list[Mistake]:
        """Returns the most certain mistakes, each input once."""
        return sorted(self.worst.values(), key=lambda figures: (-figures.probability, figures.place))[:_WORST]

    def matrix(self, labels: Sequence[str]) -> tuple[list[str], Floats]:
        """Returns label names and the fractions of each label's queries by prediction, `(k, k)`; the 30 most confused
        labels.
        """
        missed = np.zeros(len(labels))
        for (truth, predicted), count in self.counts.items():
            if truth != predicted:
                missed[[truth, predicted]] += count
        some = np.sort(np.argsort(-missed, kind="stable")[:_SHOWN])
        place = {int(row): i for i, row in enumerate(some)}
        totals, parts = np.zeros(len(some)), np.zeros((len(some), len(some)))
        for (truth, predicted), count in self.counts.items():
            if truth in place:
                totals[place[truth]] += count
                if predicted in place:
                    parts[place[truth], place[predicted]] = count
        return [labels[row] for row in some], parts / np.maximum(totals, 1)[:, None]

    def per_label(self, labels: Sequence[str]) -> list[LabelFigures]:
        """Returns the figures of every label, worst recall first."""
        asked, predicted, right = Counter[int](), Counter[int](), Counter[int]()
        taken_for: dict[int, int] = {}
        for (truth, answer), count in self.counts.most_common():
            asked[truth] += count
            predicted[answer] += count
            if truth == answer:
                right[truth] += count
            else:
                taken_for.setdefault(truth, answer)  # the most common comes first
        rows = [
            LabelFigures(
                label,
                asked[row],
                right[row] / asked[row] if asked[row] else None,
                right[row] / predicted[row] if predicted[row] else None,
                labels[taken_for[row]] if row in taken_for else None,
            )
            for row, label in enumerate(labels)
        ]
        return sorted(rows, key=lambda figures: (1.0 if figures.recall is None else figures.recall, figures.label))

    def most_common(self, labels: Sequence[str], most: int = 1000) -> list[dict[str, str | int]]:
        """Returns the most common confusions, most frequent first."""
        wrong = ((pair, count) for pair, count in self.counts.most_common() if pair[0] != pair[1])
        return [
            {"label": labels[truth], "taken_for": labels[predicted], "count": count}
            for ((truth, predicted), count), _ in zip(wrong, range(most), strict=False)
        ]
