"""Metrics of predictions: accuracy, calibration and AUROC, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

Flags = npt.NDArray[np.bool_]
#: The number of bins of equal width for probabilities.
BINS = 15
# Student's t quantiles for two-sided 95 %, one to ten degrees of freedom.
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over trials with its 95 % interval; the interval is None for a single trial."""

    mean: float
    low: float | None
    high: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Computes the interval by Student's t from one value per trial."""
        count, mean = len(values), float(np.mean(values))
        if count < 2:
            return cls(mean, None, None, count)
        half = t_quantile(count - 1) * float(np.std(values, ddof=1)) / count**0.5
        return cls(mean, mean - half, mean + half, count)

    @property
    def half(self) -> float | None:
        """Half the interval's width."""
        return None if self.high is None else self.high - self.mean


def t_quantile(freedom: int) -> float:
    """Returns the 97.5 % quantile of Student's t.

    Beyond ten degrees of freedom by Fisher's expansion about the normal quantile (Abramowitz and Stegun 26.7.5),
    accurate to 1e-4.
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    z, v = _Z, freedom
    return (
        z
        + (z**3 + z) / (4 * v)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    )


def balanced_accuracy(truth: Rows, predicted: Rows) -> float:
    """Returns the mean recall over labels, from right and predicted rows, `(n,)` each."""
    right, totals = np.bincount(truth, truth == predicted), np.bincount(truth)
    return float((right[totals > 0] / totals[totals > 0]).mean())


def reliability(probabilities: Floats, right: Flags) -> Floats:
    """Returns per bin the number of predictions, the sum of their probabilities and the number of correct ones: `(BINS,
    3)`.
    """
    bins = np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)
    weights = (None, probabilities, right.astype(np.float64))
    return np.stack([np.bincount(bins, one, minlength=BINS).astype(np.float64) for one in weights], axis=1)


def calibration_error(bins: Floats) -> float:
    """Returns the expected calibration error (Guo et al. 2017): the mean gap of probability and accuracy over bins."""
    return float(np.abs(bins[:, 1] - bins[:, 2]).sum() / bins[:, 0].sum())


def auroc(known: Floats, unknown: Floats) -> float:
    """Returns how often a known input scores higher than an unknown one, ties counting half: `(n,)`, `(m,)`."""
    ordered = np.sort(unknown)
    below, up_to = np.searchsorted(ordered, known, "left"), np.searchsorted(ordered, known, "right")
    return float((below + up_to).mean() / (2 * len(ordered)))
