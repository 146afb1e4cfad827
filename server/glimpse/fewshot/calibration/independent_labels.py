"""Probabilities of labels that are independent of each other.

A regression answers: kernel ridge, or projected ridge with more than 2,000 contents, fitted to every content once with
a several-hot target. Its scores with each content left out are exact. Platt's logistic curve, fitted to all pairs of a
left-out content and a label, turns a score v_c into a probability.

LDA answers between an enrolment and the next fit, and where no regression can be fitted: v_c = D(x) - D_c(x), where D
and D_c are squared Mahalanobis distances to the mean of all examples and to the mean of the label. v_c / 2 is the
log-likelihood ratio of the label's Gaussian against that of all examples (Ren et al. 2021). It has a curve of its own,
fitted to all pairs of a left-out example and a label that it has or lacks.

F1 on pairs of banking77's questions at 60, 120, 240, 480 examples: 69.2, 80.3, 86.8, 89.6 % by the regression, 37.7,
57.6, 64.0, 69.2 % by LDA, 68.2, 77.6, 82.3, 84.5 % by a balanced logistic regression for each label. Other grids of
beta and lam, their choice by log-loss, and scores divided by powers of a label's count changed this by at most 1.8
points.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.calibration import logistic
from glimpse.fewshot.calibration.fit_context import FitContext
from glimpse.fewshot.examples import Examples
from glimpse.fewshot.heads.additive_model import MOST_EXAMPLES as MOST_OF_ATTRIBUTES
from glimpse.fewshot.heads.additive_model import AttributeRegression
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.heads.kernel_ridge import MOST_EXAMPLES, KernelRidge
from glimpse.fewshot.heads.projected_ridge import ProjectedRidge
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Mask, Rows, sample

# Pairs that a curve is fitted to: enough for two parameters.
_PAIRS = 200_000


@dataclass(frozen=True, slots=True)
class IndependentCalibration:
    """P(c | x) = 1 / (1 + exp(-(a v_c + b)))."""

    a: float
    b: float

    @classmethod
    def of(cls, values: Floats, holds: Mask) -> Self:
        """Fits a and b to left-out values, `(n, C)`, and which labels hold, `(n, C)`; -inf takes no part."""
        used = sample(np.flatnonzero(np.isfinite(values)), _PAIRS)
        return cls(*logistic(values.ravel()[used], holds.ravel()[used]))

    @classmethod
    def of_lda(cls, context: FitContext) -> Self:
        """Fits a and b to LDA's left-out examples. The same content under several labels counts for each."""
        own = np.zeros((len(context.sampled), len(context.lda.labels)), bool)
        own[np.arange(len(own)), context.rows[context.sampled]] = True
        # The score of a further label of the same content is -inf: its copy is measured when it is left out itself.
        left_out = context.left_out
        return cls.of(likelihood_ratios(context.around - left_out.lengths, left_out.scores), own)

    def probabilities(self, values: Array | Floats) -> Floats:
        """Returns the probability of each label by itself: `(n, C)` → `(n, C)` float64."""
        # tanh gives the logistic function without overflow.
        return np.asarray(0.5 + 0.5 * np.tanh((self.a * np.asarray(values, np.float64) + self.b) / 2), np.float64)

    def log_loss(self, values: Floats, holds: Mask) -> float:
        """Returns the mean log-loss of the probabilities of values, `(n,)`, if the labels hold as given, `(n,)`."""
        logits = (self.a * values + self.b) * np.where(holds, 1.0, -1.0)
        return float(np.logaddexp(0.0, -logits).mean())


def likelihood_ratios(relative: Floats, scores: Array | Floats) -> Floats:
    """Returns LDA's values v_c, `(n, C)` float64.

    Args:
        relative: `(n,)`, squared distances to the mean of all examples less x^T Sigma^-1 x.
        scores: `(n, C)`, LDA scores.
    """
    return np.asarray(relative[:, None] + 2 * np.asarray(scores, np.float64), np.float64)


@dataclass(frozen=True, slots=True)
class IndependentRegression:
    """The regression on several-hot targets.

    Attributes:
        kind: kernel ridge, to which the additive model is added for attributes, or projected ridge.
        head: the regression.
        calibration: its logistic curve.
        left_out: `(n, C)`, scores of the context's sampled examples, each without its content.
        better: whether its left-out probabilities have a smaller log-loss than LDA's.
    """

    kind: HeadKind
    head: AttributeRegression | KernelRidge | ProjectedRidge
    calibration: IndependentCalibration
    left_out: Array | Floats
    better: bool

    @classmethod
    def fit(cls, examples: Examples, context: FitContext) -> Self | None:
        """Fits the regression; None if a label has no example, or all examples of a label are equal.

        O(N³); O(N⁴) if the labels are attributes and N is at most 200.
        """
        if not context.lda.metric.freedom or not context.lda.moments.counts.all():
            return None
        each = np.arange(len(context.rows)) if examples.contents is None else examples.contents
        _, first, content = np.unique(each, return_index=True, return_inverse=True)
        holds = np.zeros((len(first), len(context.lda.labels)), bool)
        holds[content, context.rows] = True
        vectors = context.vectors[first]
        head: AttributeRegression | KernelRidge | ProjectedRidge
        groups = None if context.groups is None else context.groups[first]
        if examples.are_attributes and len(first) <= MOST_OF_ATTRIBUTES:
            kind, head = (
                HeadKind.KERNEL_RIDGE,
                AttributeRegression.fit_targets(vectors, holds.astype(np.float64), groups),
            )
        elif len(first) <= MOST_EXAMPLES:
            kind, head = HeadKind.KERNEL_RIDGE, KernelRidge.fit_targets(vectors, holds.astype(np.float64), groups)
        else:
            kind, head = (
                HeadKind.PROJECTED_RIDGE,
                ProjectedRidge.fit_targets(vectors, holds.astype(np.float32), groups=groups),
            )
        calibration = IndependentCalibration.of(np.asarray(head.left_out, np.float64), holds)
        places = content[context.sampled]
        better = _better(calibration, np.asarray(head.left_out, np.float64), holds, places, context)
        return cls(kind, head, calibration, head.left_out[places], better)


def _better(
    calibration: IndependentCalibration, left_out: Floats, holds: Mask, places: Rows, context: FitContext
) -> bool:
    """Compares with LDA on the pairs of a content and a label that LDA has measured, each once."""
    ratios = likelihood_ratios(context.around - context.left_out.lengths, context.left_out.scores)
    own = context.rows[context.sampled]
    values = np.full(holds.shape, -np.inf)
    values[places] = ratios  # of one of a content's copies; the labels that it has follow
    values[places, own] = ratios[np.arange(len(own)), own]
    known = np.isfinite(values)
    if not known.any():
        return True
    lda = IndependentCalibration(*logistic(values[known], holds[known]))
    return calibration.log_loss(left_out[known], holds[known]) < lda.log_loss(values[known], holds[known])
