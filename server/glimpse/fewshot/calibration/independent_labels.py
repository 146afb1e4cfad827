"""Labels that are independent of each other: the odds of each by itself.

For each label c, half of v_c = D(x) - D_c(x) is a log-likelihood ratio: of the label's Gaussian against that of all
examples, D and D_c being squared Mahalanobis distances to their means (Ren et al. 2021). Its scale and the prior come
from leaving out: Platt's logistic curve over all pairs of an example and a label that it has or has not.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.calibration import logistic
from glimpse.fewshot.calibration.fit_context import FitContext
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, sample

# Pairs of which the curve is made: enough for two numbers.
_PAIRS = 200_000


@dataclass(frozen=True, slots=True)
class IndependentCalibration:
    """P(c | x) = 1 / (1 + exp(-(a v_c + b)))."""

    a: float
    b: float

    @classmethod
    def of(cls, ground: FitContext) -> Self:
        """From the examples left out. The same content under several labels counts for each."""
        sampled, scores = ground.sampled, ground.left_out.scores
        own = np.zeros(scores.shape, bool)
        own[np.arange(len(sampled)), ground.rows[sampled]] = True
        values = (ground.around - ground.left_out.lengths)[:, None] + 2 * scores
        # Its copy under another label speaks for that label, and is measured when it is left out itself: -inf here.
        used = sample(np.flatnonzero(np.isfinite(values)), _PAIRS)
        return cls(*logistic(values.ravel()[used], own.ravel()[used]))

    def probabilities(self, around: Floats, lengths: Floats, scores: Array) -> Floats:
        """Of each label by itself: squared distances to the mean of all and x^T Sigma^-1 x, (n,), scores (n, C)."""
        values = (around - lengths)[:, None] + 2 * np.asarray(scores, np.float64)
        # The logistic function, in a form that does not overflow.
        return np.asarray(0.5 + 0.5 * np.tanh((self.a * values + self.b) / 2), np.float64)
