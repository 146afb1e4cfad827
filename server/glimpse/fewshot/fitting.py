"""All that a collection's examples tell of themselves, computed at once: run it in a thread, on a copy."""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration import best_temperature
from glimpse.fewshot.lda import Metric
from glimpse.fewshot.leave_one_out import leave_one_out
from glimpse.fewshot.moments import Moments
from glimpse.fewshot.strangers import Background, Typicality, measures, nearest_others
from glimpse.fewshot.vectors import Array, Rows


@dataclass(frozen=True, slots=True)
class Fitted:
    """LDA's inversion, and what leaving out each example gives for it."""

    metric: Metric
    #: As LeftOut's.
    spread: float
    #: What scores are divided by before softmax.
    temperature: float
    background: Background
    #: Of nothing where the examples do not differ within labels: whatever comes fits.
    typicality: Typicality
    #: The part of the examples that the others and the text call right, but for those that are all of their labels.
    accuracy: float


# Temperature and p-values stand on so many examples at most: more would change them by less than they are worth.
_SAMPLE = 4_000


def fit(moments: Moments, vectors: Array, rows: Rows) -> Fitted:
    """From examples, (N, d), N > 0, and the rows of their labels in the moments, (N,)."""
    metric = Metric.of(moments)
    # An example that is all there is of its label tells nothing. Always the same sample of the same examples.
    several = np.flatnonzero(moments.shots[rows] > 1)
    some = np.sort(np.random.default_rng(0).permutation(several)[:_SAMPLE])
    left_out = leave_one_out(moments, metric, vectors[some], rows[some])
    temperature = best_temperature(left_out.scores, rows[some])
    pooled = moments.pooled()
    around = Metric.of(pooled)
    background = leave_one_out(pooled, around, vectors[some], np.zeros_like(some)).own
    nearest = nearest_others(vectors, some)
    each = measures(left_out.distances, background, nearest, left_out.scores, temperature)
    return Fitted(
        metric,
        left_out.spread,
        temperature,
        Background.of(pooled, around),
        Typicality.of(each if metric.freedom else each[:0]),
        float((left_out.scores.argmax(1) == rows[some]).mean()) if len(some) else float("nan"),
    )
