"""One head, judged by what it says of the examples when each is left out."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.calibration import best_temperature
from glimpse.fewshot.calibration.open_set import Typicality, fit_measures
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


@dataclass(frozen=True, slots=True)
class FitMeasures:
    """Two of the three measures of fit, which no head changes: (n,) each."""

    #: Squared Mahalanobis distances, to the nearest label's mean and to the mean of all.
    distances: Floats
    background: Floats
    #: The cosine to the nearest example.
    nearest: Floats


@dataclass(frozen=True, slots=True)
class LeftOutMeasures:
    """Examples as the others see them: themselves left out, and their whole label left out; and known strangers."""

    rows: Rows
    as_members: FitMeasures
    label_left_out: FitMeasures
    negatives: FitMeasures


@dataclass(frozen=True, slots=True)
class HeadEvaluation:
    """A head's calibration, and what it says of n examples left out."""

    kind: HeadKind
    #: What scores are divided by before softmax.
    temperature: float
    typicality: Typicality
    #: The answer for each example, its probability, and that of the example's own label: (n,) each.
    predicted: Rows
    predicted_probability: Floats
    own_probability: Floats
    #: `own_probability` in ascending order.
    sorted_own_probability: Floats
    correct: int

    @property
    def count(self) -> int:
        """How many examples were left out."""
        return len(self.predicted)

    @property
    def accuracy(self) -> float:
        """The part of them that were called right; NaN of none."""
        return self.correct / self.count if self.count else float("nan")

    def suspects(self, rows: Rows) -> Rows:
        """Which of the examples, whose labels' columns are (n,), were called another, the surest first: (m,)."""
        wrong = np.flatnonzero(self.predicted != rows)
        doubt = self.predicted_probability - self.own_probability
        return wrong[np.argsort(-doubt[wrong], kind="stable")]

    @classmethod
    def of(
        cls,
        kind: HeadKind,
        left_out: Array | Floats,
        alone: Array | Floats,
        measured: LeftOutMeasures,
        negatives: Array | Floats,
        *,
        spread: bool,
    ) -> Self:
        """From the scores of n examples left out, by themselves and with their labels, and of M negatives: (n or M, C).

        Without a spread within labels whatever comes fits.
        """
        rows, each = measured.rows, np.arange(len(measured.rows))
        temperature = best_temperature(left_out, rows)
        probabilities = softmax(left_out, 1 / temperature)
        predicted, own = probabilities.argmax(1), probabilities[each, rows]
        return cls(
            kind,
            temperature,
            _typicality(left_out, alone, measured, negatives, temperature)
            if spread
            else Typicality.of(np.empty((0, 3))),
            predicted,
            probabilities[each, predicted],
            own,
            np.sort(own),
            int((predicted == rows).sum()),
        )


def _typicality(
    left_out: Array | Floats,
    alone: Array | Floats,
    measured: LeftOutMeasures,
    negatives: Array | Floats,
    temperature: float,
) -> Typicality:
    def of(fit: FitMeasures, scores: Array | Floats) -> Floats:
        return fit_measures(fit.distances, fit.background, fit.nearest, scores, temperature)

    alone = np.array(alone, np.float64)
    alone[np.arange(len(alone)), measured.rows] = -np.inf
    told = np.isfinite(alone).any(1)  # there is another label
    some = measured.label_left_out
    stranger = FitMeasures(some.distances[told], some.background[told], some.nearest[told])
    return Typicality.of(
        of(measured.as_members, left_out), of(stranger, alone[told]), of(measured.negatives, negatives)
    )
