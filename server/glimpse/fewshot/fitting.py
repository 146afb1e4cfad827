"""All that a collection's examples tell of themselves, computed at once: run it in a thread, on a copy."""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration import best_temperature
from glimpse.fewshot.lda import Metric
from glimpse.fewshot.leave_one_out import Rows, leave_one_out
from glimpse.fewshot.moments import Moments
from glimpse.fewshot.strangers import Background, Typicality, measures_left_out
from glimpse.fewshot.vectors import Array


@dataclass(frozen=True, slots=True)
class Fitted:
    """LDA's inversion, and what leaving out each example gives for it."""

    metric: Metric
    #: As LeftOut's.
    spread: float
    #: What scores are divided by before softmax.
    temperature: float
    background: Background
    typicality: Typicality
    #: The part of the examples that the others and the text call right, but for those that are all of their labels.
    accuracy: float


def fit(moments: Moments, vectors: Array, rows: Rows) -> Fitted:
    """From examples, (N, d), N > 0, and the rows of their labels in the moments, (N,)."""
    metric = Metric.of(moments)
    scale = float(moments.dimension + moments.freedom) if metric.freedom else 1.0
    left_out = leave_one_out(moments, metric.inverse, scale, np.asarray(vectors, np.float64), rows)
    several = moments.shots[rows] > 1  # an example that is all there is of its label tells nothing
    scores, known = left_out.scores[several], rows[several]
    temperature = best_temperature(scores, known) if several.any() else 1.0
    each = measures_left_out(moments, left_out, vectors, temperature)[several]
    return Fitted(
        metric,
        left_out.spread,
        temperature,
        Background.of(moments),
        Typicality.of(each),
        float((scores.argmax(1) == known).mean()) if several.any() else float("nan"),
    )
