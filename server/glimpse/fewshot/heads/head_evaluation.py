"""Evaluates one head by its leave-one-out scores."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.calibration import best_temperature
from glimpse.fewshot.calibration.open_set import Typicality, fit_measures
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Mask, Rows


@dataclass(frozen=True, slots=True)
class FitMeasures:
    """The measures of fit that do not depend on the head: `(n,)` each."""

    #: Squared Mahalanobis distances to the nearest label's mean, and to the mean of all examples.
    distances: Floats
    around: Floats
    #: Cosines to the nearest example.
    nearest: Floats


@dataclass(frozen=True, slots=True)
class LeftOutMeasures:
    """Measures of the examples, left out alone and with their whole label, and of the negative examples."""

    rows: Rows
    as_members: FitMeasures
    label_left_out: FitMeasures
    negatives: FitMeasures


@dataclass(frozen=True, slots=True)
class HeadEvaluation:
    """A head's calibration and its leave-one-out predictions of n examples."""

    kind: HeadKind
    #: Scores of examples left out are divided by this before softmax, and those of new inputs by the second one.
    temperature: float
    answer_temperature: float
    typicality: Typicality
    #: The predicted label of each example, its probability, and the probability of the example's own label: (n,) each.
    predicted: Rows
    predicted_probability: Floats
    own_probability: Floats
    #: The next label, and its probability: (n,) each. With one label, that label and 0.
    second: Rows
    second_probability: Floats
    #: The fit of each example: (n,), or (0,) if no spread within labels is known. `typicality` has them in order.
    fits: Floats
    #: `own_probability` in ascending order.
    sorted_own_probability: Floats
    correct: int

    @property
    def count(self) -> int:
        """The number of examples left out."""
        return len(self.predicted)

    @property
    def accuracy(self) -> float:
        """The fraction predicted correctly; NaN if there are none."""
        return self.correct / self.count if self.count else float("nan")

    def suspects(self, rows: Rows) -> Rows:
        """Returns the examples that were predicted as another label, those with the least own probability first.

        Args:
            rows: `(n,)`, the columns of the examples' labels.

        Returns:
            `(m,)` positions among the n examples.
        """
        wrong = np.flatnonzero(self.predicted != rows)
        return wrong[np.argsort(self.own_probability[wrong], kind="stable")]

    def confident(self, rows: Rows) -> Mask:
        """Returns which examples' labels are confidently wrong (confident learning, Northcutt et al. 2021).

        The probability of the own label is under its mean over the label's examples, and the predicted label's is over
        the mean of that label's own examples.

        Args:
            rows: `(n,)`, the columns of the examples' labels.

        Returns:
            `(n,)`.
        """
        labels = int(max(rows.max(initial=0), self.predicted.max(initial=0))) + 1
        counts = np.bincount(rows, minlength=labels)
        means = np.bincount(rows, self.own_probability, labels) / np.maximum(counts, 1)
        # A label without an example left out has no mean to reach.
        means[counts == 0] = 1.0
        under = self.own_probability < means[rows]
        over = self.predicted_probability > means[self.predicted]
        return np.asarray((self.predicted != rows) & under & over, np.bool_)

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
        grown: float = 1.0,
    ) -> Self:
        """Calibrates and evaluates a head.

        Args:
            kind: the head.
            left_out: `(n, C)`, scores of the examples, each left out.
            alone: `(n, C)`, scores with the example's whole label left out.
            measured: the measures that do not depend on the head.
            negatives: `(M, C)`, scores of the negative examples.
            spread: whether a spread within labels is known; without it every input fits.
            grown: the factor from the temperature of examples left out to that of new inputs (`growth`).
        """
        rows, each = measured.rows, np.arange(len(measured.rows))
        temperature = best_temperature(left_out, rows)
        probabilities = softmax(left_out, 1 / temperature)
        predicted, own = probabilities.argmax(1), probabilities[each, rows]
        best = probabilities[each, predicted]
        probabilities[each, predicted] = 0.0
        second = probabilities.argmax(1)
        if spread:
            typicality, fits = _typicality(left_out, alone, measured, negatives, temperature)
        else:
            typicality, fits = Typicality.of(np.empty((0, 3))), np.empty(0)
        return cls(
            kind,
            temperature,
            temperature * grown,
            typicality,
            predicted,
            best,
            own,
            second,
            probabilities[each, second],
            fits,
            np.sort(own),
            int((predicted == rows).sum()),
        )


def _typicality(
    left_out: Array | Floats,
    alone: Array | Floats,
    measured: LeftOutMeasures,
    negatives: Array | Floats,
    temperature: float,
) -> tuple[Typicality, Floats]:
    """Returns the reference distributions, and the fit of each example, `(n,)`."""

    def of(fit: FitMeasures, scores: Array | Floats) -> Floats:
        return fit_measures(fit.around - fit.distances, fit.nearest, scores, temperature)

    alone = np.array(alone, np.float64)
    alone[np.arange(len(alone)), measured.rows] = -np.inf
    has_other = np.isfinite(alone).any(1)
    group = measured.label_left_out
    outside = FitMeasures(group.distances[has_other], group.around[has_other], group.nearest[has_other])
    members = of(measured.as_members, left_out)
    typicality = Typicality.of(members, of(outside, alone[has_other]), of(measured.negatives, negatives))
    return typicality, typicality.combined_fits(members)
