"""Selects how many examples a label's text counts as in its centre, and the temperature of text and one example.

Taken as the prior of the label's mean, a text that lies at the squared distance e_text from the true mean weighs

    w0 = e / e_text,   e_text = mean_c |t_c + gap - mu_c|² C / (C - 1) - mean_c e / n_c,   within [e / 32, e / 2]

examples, with e the squared distance of an example (all under Sigma^-1): the posterior mean of a Gaussian. From the
first label with two examples, the weight is the one of 2, 4, 8, 16 and 32 with the least N x (left-out log-loss) +
1/2 |log2(w / w0)|. The last term is a prior: without it leave-one-out alone loses up to 3 points at 2 shots.

While no label has two examples, the text of each label predicts the examples, which need not be left out of it. That
gives the temperature of the cosines to the texts alone; those to text and example together are more certain.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glimpse.fewshot.calibration.calibration import best_temperature, log_loss
from glimpse.fewshot.calibration.group_left_out import LeftOutGroup
from glimpse.fewshot.calibration.leave_one_out import leave_one_out
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.statistics.class_statistics import TEXT_SHOTS, Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Mask, Rows, sample

WEIGHTS = (2.0, 4.0, 8.0, 16.0, 32.0)
_PENALTY = 0.5
# Enough examples to compare five weights.
_SAMPLE = 1_000
# How many examples the usual temperature of cosines counts as where few examples would give another. With it, log-loss
# at one shot changes by -0.69 and -0.06 on two sets of drawings (glimpse-mini, 24 labels), by -0.06 on banking77, and
# by +0.006 and +0.012 on TREC and spam, whose few labels have 6 and 2 examples (standard errors 0.005 and 0.010).
_USUAL = 12.0


def select_text_weight(
    moments: Moments,
    metric: Metric,
    vectors: Array,
    rows: Rows,
    groups: Sequence[LeftOutGroup] = (),
    excluded: Mask | None = None,
) -> float:
    """Selects the weight of the texts. Sets each weight in turn, and leaves the selected one. O(n (d² + C d)).

    Args:
        moments: the class statistics with the texts.
        metric: the inversion of these statistics.
        vectors: `(n, d)`, examples to leave out.
        rows: `(n,)`, their labels' rows.
        groups: the groups of more than one example that the examples belong to.
        excluded: `(n, C)`, the further labels of the examples' contents; None if there are none.

    Returns:
        The weight, in examples.
    """
    moments.weigh_texts(TEXT_SHOTS)
    if not moments.texts or not metric.freedom or not len(rows):
        return TEXT_SHOTS
    used = sample(len(rows), _SAMPLE)
    together = [replace(group, places=np.flatnonzero(np.isin(used, group.places))) for group in groups]
    together = [group for group in together if len(group.places)]
    objectives = {}
    for weight in WEIGHTS:
        moments.weigh_texts(weight)
        left_out = leave_one_out(moments, metric, vectors[used], rows[used], together)
        spread = left_out.spread
        expected = spread.examples / spread.texts if spread.texts > 0 else TEXT_SHOTS
        if excluded is not None:
            left_out = left_out.without_labels(excluded[used])
        loss = len(used) * log_loss(left_out.scores / best_temperature(left_out.scores, rows[used]), rows[used])
        objectives[weight] = loss + _PENALTY * abs(float(np.log2(weight / expected)))
    best = min(objectives, key=objectives.__getitem__)
    moments.weigh_texts(best)
    return best


def one_shot_temperature(of_texts: float, count: int, text_weight: float) -> float:
    """Returns the temperature of cosines to the means of a text and one example.

    Args:
        of_texts: the temperature with the least log-loss of the cosines to the texts alone.
        count: the number of examples that it rests on.
        text_weight: how many examples a text counts as.
    """
    grown = of_texts * np.sqrt(text_weight / (text_weight + 1))  # as `growth` in calibration.py
    return float(np.exp((count * np.log(grown) - _USUAL * np.log(EXAMPLE_SCALE)) / (count + _USUAL)))
