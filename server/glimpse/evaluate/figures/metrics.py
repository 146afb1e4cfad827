"""What is said of answers: how often they are right, how far their probabilities can be trusted, with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

Flags = npt.NDArray[np.bool_]
#: Bins of equal width that probabilities are sorted into.
BINS = 15
# Student's t for two-sided 95 %, one to ten degrees of freedom.
_T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over trials with its 95 % interval; None: of a single trial there is none."""

    mean: float
    low: float | None
    high: float | None
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """By Student's t, from one value a trial."""
        count, mean = len(values), float(np.mean(values))
        if count < 2:
            return cls(mean, None, None, count)
        half = t_quantile(count - 1) * float(np.std(values, ddof=1)) / count**0.5
        return cls(mean, mean - half, mean + half, count)

    @property
    def half(self) -> float | None:
        """Half its width."""
        return None if self.high is None else self.high - self.mean


def t_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t.

    Beyond the table by Fisher's expansion about the normal quantile (Abramowitz and Stegun 26.7.5), right to 1e-4.
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


def balanced_accuracy(truth: Rows, said: Rows) -> float:
    """The mean over labels of the part of their inputs called right: (n,) twice."""
    right, all_ = np.bincount(truth, truth == said), np.bincount(truth)
    return float((right[all_ > 0] / all_[all_ > 0]).mean())


def reliability(probabilities: Floats, right: Flags) -> Floats:
    """For each bin how many probabilities fell in, their sum, and how many of the answers were right: (BINS, 3)."""
    bins = np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)
    weights = (None, probabilities, right.astype(np.float64))
    return np.stack([np.bincount(bins, one, minlength=BINS).astype(np.float64) for one in weights], axis=1)


def calibration_error(bins: Floats) -> float:
    """The expected calibration error (Guo et al. 2017): the mean gap of probability and accuracy, by bin."""
    return float(np.abs(bins[:, 1] - bins[:, 2]).sum() / bins[:, 0].sum())


def auroc(known: Floats, unknown: Floats) -> float:
    """How often something known scores higher than a stranger, ties counting half: (n,), (m,)."""
    ordered = np.sort(unknown)
    below, up_to = np.searchsorted(ordered, known, "left"), np.searchsorted(ordered, known, "right")
    return float((below + up_to).mean() / (2 * len(ordered)))
