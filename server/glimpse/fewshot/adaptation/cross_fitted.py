"""The results of cross-fitting: paired accuracies, and the calibration that replaces leave-one-out."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.open_set import Typicality
from glimpse.fewshot.fit import Fitted
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

# One example that changes has a gain of exactly one standard error, up to the rounding of the two.
_ROUNDING = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class PairedGain:
    """The accuracies of two predictions of the same examples.

    Attributes:
        frozen: the accuracy of the frozen backbone.
        adapted: the accuracy of the adapted one.
        error: the standard error of the difference, with whole groups as its units.
    """

    frozen: float
    adapted: float
    error: float

    @property
    def gain(self) -> float:
        """`adapted` - `frozen`."""
        return self.adapted - self.frozen

    @property
    def gains(self) -> bool:
        """True if the adapted backbone is better by more than a standard error."""
        return self.gain > self.error * _ROUNDING

    @property
    def loses(self) -> bool:
        """True if the adapted backbone is worse by more than a standard error."""
        return -self.gain > self.error * _ROUNDING

    @classmethod
    def of(cls, frozen: Rows, adapted: Rows, rows: Rows, groups: Rows) -> Self:
        """Compares predicted labels with the right ones, `rows`; equal numbers in `groups` are one unit: `(n,)` each.

        The error is that of a ratio of sums over clusters (Cochran 1977), sqrt(G / (G - 1) Σ_g (Σ_i (d_i - gain))²) / n
        with G groups and d_i = 1, 0 or -1.
        """
        right, before = adapted == rows, frozen == rows
        difference = right.astype(np.float64) - before
        _, unit = np.unique(groups, return_inverse=True)
        sums = np.bincount(unit, difference - difference.mean())
        count = len(sums)
        error = np.sqrt(count / (count - 1) * (sums**2).sum()) / len(rows) if count > 1 else np.inf
        return cls(float(before.mean()), float(right.mean()), float(error))


@dataclass(frozen=True, slots=True)
class CrossCalibration:
    """The calibration of a classifier on adapted vectors, measured on examples that its backbone was not trained on.

    A fit is given in standard deviations from the mean of the fits that the same classifier has by leave-one-out, so
    that it can be applied to a collection of other labels and another number of examples.

    Attributes:
        temperature: factor of the temperature that leave-one-out finds.
        own_probability: probabilities of the examples' own labels, ascending, `(n,)`.
        fits: fits of the examples, ascending, `(n,)`.
        label_left_out: their fits with their own label left out of the head, ascending, `(n,)`.
    """

    temperature: float
    own_probability: Floats
    fits: Floats
    label_left_out: Floats

    def apply(self, evaluation: HeadEvaluation) -> HeadEvaluation:
        """Returns the evaluation of a collection's head with this calibration in place of its own."""
        typicality = evaluation.typicality
        if not typicality.count:
            return evaluation
        middle, unit = location(typicality)
        calibrated = Typicality(
            typicality.units, middle + unit * self.fits, middle + unit * self.label_left_out, typicality.negatives
        )
        return replace(
            evaluation,
            answer_temperature=evaluation.temperature * self.temperature,
            typicality=calibrated,
            sorted_own_probability=self.own_probability,
        )


def cross_calibrated(fitted: Fitted, calibration: CrossCalibration) -> Fitted:
    """Returns the fit of a collection with the calibration in place of that by leave-one-out, for every head."""
    evaluations = {kind: calibration.apply(evaluation) for kind, evaluation in fitted.evaluations.items()}
    return replace(fitted, evaluations=evaluations)


def location(typicality: Typicality) -> tuple[float, float]:
    """Returns the mean and the standard deviation of the fits by leave-one-out."""
    return float(typicality.fits.mean()), max(float(typicality.fits.std()), 1e-9)


@dataclass(frozen=True, slots=True)
class CrossFitted:
    """Predictions of n examples by backbones and heads that were trained without them.

    Attributes:
        places: positions of the examples that were counted, `(n,)`; an example whose label has no other is not.
        rows: their labels, `(n,)`.
        groups: equal numbers mark examples that were held out together, `(n,)`.
        frozen: labels predicted on the frozen backbone, `(n,)`.
        adapted: labels predicted on the adapted one, `(n,)`.
        zero_shot: labels predicted by texts alone on the frozen and on the adapted backbone; None without texts.
        calibration: the calibration on the adapted backbone.
        folds: the number of folds.
    """

    places: Rows
    rows: Rows
    groups: Rows
    frozen: Rows
    adapted: Rows
    zero_shot: tuple[Rows, Rows] | None
    calibration: CrossCalibration
    folds: int

    @property
    def accuracy(self) -> PairedGain:
        """The accuracies of the heads."""
        return PairedGain.of(self.frozen, self.adapted, self.rows, self.groups)

    @property
    def is_guessing(self) -> bool:
        """True if the adapted backbone predicts no better than the most frequent label, by two standard errors.

        Then the labels do not follow from the inputs, and a gain is chance: shuffled among 90 to 200 examples, labels
        gained more than a standard error in 4 of 5 draws, and none was better than guessing by two.
        """
        most = np.full_like(self.rows, np.bincount(self.rows).argmax())
        over = PairedGain.of(most, self.adapted, self.rows, self.groups)
        return over.gain <= 2 * over.error

    @property
    def zero_shot_accuracy(self) -> PairedGain | None:
        """The accuracies of texts alone; None without texts."""
        return None if self.zero_shot is None else PairedGain.of(*self.zero_shot, self.rows, self.groups)
