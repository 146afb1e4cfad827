"""Probabilities of labels that are independent of each other.

For label c, v_c = D(x) - D_c(x), where D and D_c are squared Mahalanobis distances to the mean of all examples and to
the mean of the label. v_c / 2 is the log-likelihood ratio of the label's Gaussian against that of all examples (Ren et
al. 2021). Platt's logistic curve, fitted to all pairs of a left-out example and a label that it has or lacks, turns v_c
into a probability.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.calibration import logistic
from glimpse.fewshot.calibration.fit_context import FitContext
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, sample

# Pairs that the curve is fitted to: enough for two parameters.
_PAIRS = 200_000


@dataclass(frozen=True, slots=True)
class IndependentCalibration:
    """P(c | x) = 1 / (1 + exp(-(a v_c + b)))."""

    a: float
    b: float

    @classmethod
    def of(cls, context: FitContext) -> Self:
        """Fits a and b to the examples left out. The same content under several labels counts for each."""
        sampled, scores = context.sampled, context.left_out.scores
        own = np.zeros(scores.shape, bool)
        own[np.arange(len(sampled)), context.rows[sampled]] = True
        values = (context.around - context.left_out.lengths)[:, None] + 2 * scores
        # The score of a further label of the same content is -inf: its copy is measured when it is left out itself.
        used = sample(np.flatnonzero(np.isfinite(values)), _PAIRS)
        return cls(*logistic(values.ravel()[used], own.ravel()[used]))

    def probabilities(self, around: Floats, lengths: Floats, scores: Array) -> Floats:
        """Returns the probability of each label by itself.

        Args:
            around: `(n,)`, squared distances to the mean of all examples.
            lengths: `(n,)`, x^T Sigma^-1 x.
            scores: `(n, C)`, LDA scores.

        Returns:
            `(n, C)` float64.
        """
        values = (around - lengths)[:, None] + 2 * np.asarray(scores, np.float64)
        # tanh gives the logistic function without overflow.
        return np.asarray(0.5 + 0.5 * np.tanh((self.a * values + self.b) / 2), np.float64)
