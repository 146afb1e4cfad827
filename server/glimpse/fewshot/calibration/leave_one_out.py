"""Exact leave-one-out scores of LDA without fitting N times.

Removing x_i from label y changes the pooled scatter W by -k z z^T, with z = x_i - mu_y and k = n_y / (n_y - 1). With
the ridge r and the scale held fixed, G = (W + r I)^-1 becomes G + g u u^T, u = G z, g = k / (1 - k z^T u) (Sherman and
Morrison 1950). The centre of the label, of s_y shots including its text, moves from c_y by -(x_i - c_y) / (s_y - 1).
The result equals refitting, with the same ridge, scale, origin and spread, to rounding. Examples of a group are left
out together (`group_left_out`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot.calibration.group_left_out import Centres, GroupScores, LeftOutGroup, score_group
from glimpse.fewshot.statistics.class_statistics import TEXT_SHOTS, Moments
from glimpse.fewshot.statistics.mahalanobis import Metric, Spread
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Mask, Rows

# Examples per block, to bound the memory in addition to the scores.
_CHUNK = 256
# The fewest labels with both text and examples from which the distance of texts is estimated.
_TEXTS = 3
# The fewest labels whose means show how far means lie apart, and the most examples that their mean counts as.
_FEWEST_PULLED, _MOST_PULL = 2, 30.0
# The most examples that the distance of a text makes it count as.
_MOST_TEXT = 32.0


@dataclass(frozen=True, slots=True)
class LeaveOneOutScores:
    """The results for N examples, each predicted from the others."""

    #: LDA scores, (N, C); the own label's column is -inf if the example is all that the label has.
    scores: Floats
    #: Squared Mahalanobis distances, (N,): to the nearest label's mean, and to the mean of the own label's others.
    distances: Floats
    own: Floats
    #: The number of these others, (N,).
    others: Floats
    #: x^T Sigma^-1 x, (N,). The squared distance to a label's mean is this less twice the label's score.
    lengths: Floats
    spread: Spread

    def without_labels(self, excluded: Mask) -> "LeaveOneOutScores":
        """Returns a copy in which the scores of some labels, a mask `(N, C)`, are -inf."""
        scores = np.where(excluded, -np.inf, self.scores)
        return replace(self, scores=scores, distances=self.lengths - 2 * scores.max(1, initial=-np.inf))


def leave_one_out(
    moments: Moments, metric: Metric, vectors: Array, rows: Rows, groups: Sequence[LeftOutGroup] = ()
) -> LeaveOneOutScores:
    """Scores examples, each left out of the statistics with its group. O(N (d² + C d)).

    Args:
        moments: the class statistics that contain the examples.
        metric: the inversion of these statistics.
        vectors: `(N, d)`, all the examples or a sample of them.
        rows: `(N,)`, their labels' rows in `moments`.
        groups: the groups of more than one example that the examples belong to.
    """
    counts, shots = moments.counts[rows], moments.shots[rows]
    linear, square = (np.empty((len(rows), len(moments.labels))) for _ in range(2))
    lengths, own = np.empty(len(rows)), np.empty(len(rows))
    base = Centres.of(moments, metric)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        linear[part], square[part], lengths[part], own[part] = _block(
            np.asarray(vectors[part], np.float64) - base.origin,
            rows[part],
            counts[part],
            shots[part],
            base,
            metric.inverse,
        )
    others = counts - 1
    for group in groups:
        queries, labels = np.asarray(vectors[group.places], np.float64), rows[group.places]
        result: GroupScores = score_group(moments, metric, base, group, queries, labels)
        linear[group.places], square[group.places] = result.linear, result.square
        lengths[group.places], own[group.places] = result.lengths, result.own
        others[group.places] = counts[group.places] - np.bincount(group.rows, minlength=len(moments.labels))[labels]
    for values in (linear, square, lengths, own):
        values *= metric.scale
    # An example left out lies e (1 + 1 / m) from the mean of the m others. Take the lower quartile: outliers would
    # raise the average.
    several = others > 0
    example = float(np.quantile((own * others / (others + 1))[several], 0.25)) if several.any() else 0.0
    pull = _pull(moments, metric.scale * base.squares, example)
    spread = Spread(example, _text_spread(moments, metric, example), *pull)
    scores = _pulled_scores(linear, square, moments, rows, spread, groups)
    return LeaveOneOutScores(scores, lengths - 2 * scores.max(1, initial=-np.inf), own, others, lengths, spread)


def _pull(moments: Moments, squares: Floats, example: float) -> tuple[float, float]:
    """Returns b and w of heads/lda.py.

    Args:
        moments: the class statistics.
        squares: `(C,)`, squared distances of the centres from their mean.
        example: e, the squared distance of an example from its label's true mean.
    """
    plain = (moments.counts > 0) & (moments.counts == moments.shots)
    counts, labels = moments.counts[plain], int(plain.sum())
    if labels < _FEWEST_PULLED or example <= 0:
        return 0.0, 0.0
    # Labels of many examples show better how far the true means lie apart.
    between = (counts @ squares[plain] * labels / (labels - 1) - labels * example) / counts.sum()
    between = max(float(between), example / _MOST_PULL**2)
    return between, float(np.sqrt(example / between))


def _pulled_scores(
    linear: Floats, square: Floats, moments: Moments, rows: Rows, spread: Spread, groups: Sequence[LeftOutGroup]
) -> Floats:
    """Returns scores `(N, C)` from x^T Sigma^-1 c and c^T Sigma^-1 c, for centres c before the pull."""
    pulls, noise = spread.pulls(moments), spread.noise(moments)

    def without(places: tuple[Rows, ...], labels: Rows, left_out: Floats | float) -> Floats:
        """Scores labels whose centres have some examples less."""
        shots, pull = moments.shots[labels], pulls[labels]
        left = np.maximum(shots - left_out, 1.0)
        share = left / (left + pull)
        less = (noise[labels] * (shots + pull) ** 2 - left_out * spread.examples) / (left + pull) ** 2
        scores = share * linear[places] - 0.5 * share**2 * square[places] + 0.5 * less
        return np.where(shots <= left_out, -np.inf, scores)

    own = (np.arange(len(rows)), rows)
    parts: list[tuple[tuple[Rows, ...], Floats]] = [(own, without(own, rows, 1.0))]
    for group in groups:
        labels, left_out = np.unique(group.rows, return_counts=True)
        places = np.ix_(group.places, labels)
        parts.append((places, without(places, labels, left_out.astype(np.float64))))
    share = moments.shots / (moments.shots + pulls)
    linear *= share
    square *= 0.5 * share**2
    linear -= square
    linear += 0.5 * noise
    for places, scores in parts:
        linear[places] = scores
    return linear


def _text_spread(moments: Moments, metric: Metric, example: float) -> float:
    """Returns the squared distance of texts from their labels' means beyond the error of those means.

    At most half of the examples' distance, which weighs a text like two examples; that is also the value if fewer than
    three labels have both.
    """
    rows = [row for label in moments.texts if moments.counts[row := moments.place(label)]]
    if len(rows) < _TEXTS:
        return example / TEXT_SHOTS
    texts = np.stack([moments.texts[moments.labels[row]] for row in rows]) + moments.gap
    gaps = texts - moments.means[rows]
    squares = metric.scale * np.einsum("cd,cd->c", gaps @ metric.inverse, gaps)
    # The gap is the mean difference of the same labels, which makes the differences shorter.
    far = squares.mean() * len(rows) / (len(rows) - 1) - (example / moments.counts[rows]).mean()
    return float(np.clip(far, example / _MOST_TEXT, example / TEXT_SHOTS))


def _block(
    vectors: Floats,
    rows: Rows,
    counts: Floats,
    shots: Floats,
    base: Centres,
    inverse: Floats,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Computes a block without each example itself: x^T G c and c^T G c `(n, C)`, x^T G x and own distances `(n,)`."""
    each = np.arange(len(rows))
    left = np.where(shots <= 1, 1.0, shots - 1)  # an only example is handled by the caller
    residuals = vectors - (base.means - base.origin)[rows]  # z; 0 for an only example
    turned = vectors @ inverse  # G x, the one product of O(d²) for an example
    directions = turned - base.turned_means[rows]  # u = G z
    inside = np.einsum("nd,nd->n", residuals, directions)  # z^T u
    factor = counts / np.maximum(counts - 1, 1)
    gain = factor / (1 - factor * inside)
    own = np.einsum("nd,nd->n", vectors, directions)  # x^T u
    length = np.einsum("nd,nd->n", turned, vectors)  # x^T G x
    across = residuals @ base.weights.T  # c^T u, (n, C)
    linear = vectors @ base.weights.T  # c^T G x, (n, C)
    square = np.broadcast_to(base.squares, linear.shape).copy()
    # Move the own label's centre.
    at, to, of = across[each, rows], linear[each, rows], base.squares[rows]
    across[each, rows] = at - (own - at) / left
    linear[each, rows] = to - (length - to) / left
    square[each, rows] = of - 2 * (to - of) / left + (length - 2 * to + of) / left**2
    # Update the scatter.
    linear += (gain * own)[:, None] * across
    square += gain[:, None] * across**2
    # x - (mean of the others) = z n / (n - 1).
    return linear, square, length + gain * own**2, factor**2 * (inside + gain * inside**2)
