"""What LDA would have said of each example, had it not been among the examples: exactly, without fitting N times.

Taking x_i out of label y changes W by -k z z^T, z = x_i - mu_y, k = n_y / (n_y - 1). With the ridge and the scale as
they are, G becomes G + g u u^T, u = G z, g = k / (1 - k z^T u) (Sherman and Morrison 1950). The label's centre, of s_y
shots with its text, moves from c_y by -(x_i - c_y) / (s_y - 1).
"""

from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot.statistics.class_statistics import TEXT_SHOTS, Moments
from glimpse.fewshot.statistics.mahalanobis import Metric, Spread
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Mask, Rows

# Examples worked on at once, so that little is held beside the scores.
_CHUNK = 256
# Labels with text and examples that it takes to tell how far texts lie off.
_TEXTS = 3


@dataclass(frozen=True, slots=True)
class LeaveOneOutScores:
    """For each of N examples, what the others say of it."""

    #: (N, C); its own label's column is -inf where it is all there is of that label.
    scores: Floats
    #: Squared Mahalanobis distance to the nearest label's true mean, (N,); and to the mean of its own label's others.
    distances: Floats
    own: Floats
    #: x^T Sigma^-1 x, (N,): with a score s of it, the squared distance to that label's true mean is this less 2 s.
    lengths: Floats
    spread: Spread

    def but_for(self, beside: Mask) -> "LeaveOneOutScores":
        """Without what is said of some labels, (N, C)."""
        scores = np.where(beside, -np.inf, self.scores)
        return replace(self, scores=scores, distances=self.lengths - 2 * scores.max(1, initial=-np.inf))


def leave_one_out(moments: Moments, metric: Metric, vectors: Array, rows: Rows) -> LeaveOneOutScores:
    """What is said of examples, (N, d), or a sample of them.

    `rows`: of their labels in the moments, (N,).
    """
    counts, shots = moments.counts[rows], moments.shots[rows]
    scores = np.empty((len(rows), len(moments.labels)))
    lengths, own = np.empty(len(rows)), np.empty(len(rows))
    means, centres = moments.means, moments.centres
    weights = centres @ metric.inverse  # (C, d)
    squares = np.einsum("cd,cd->c", centres, weights)  # c^T G c
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        values = np.asarray(vectors[part], np.float64)
        residuals = values - means[rows[part]]  # z; 0 for an only example
        scores[part], lengths[part], own[part] = _part(
            values, residuals, rows[part], counts[part], shots[part], weights, squares, metric.inverse
        )
    for under in (scores, lengths, own):
        under *= metric.scale
    several = counts > 1
    # An example left out lies e (1 + 1 / (n - 1)) from the mean of the others. The lower quartile, as examples that are
    # unlike their label would raise the average.
    example = float(np.quantile((own * (counts - 1) / counts)[several], 0.25)) if several.any() else 0.0
    spread = Spread(example, _of_texts(moments, metric, example))
    noise = moments.noise(spread.examples, spread.texts)
    scores += 0.5 * noise
    # The own label's centre is of an example less.
    less = (noise[rows] * shots**2 - spread.examples) / np.maximum(shots - 1, 1) ** 2
    scores[np.arange(len(rows)), rows] += 0.5 * (less - noise[rows])
    return LeaveOneOutScores(scores, lengths - 2 * scores.max(1, initial=-np.inf), own, lengths, spread)


def _of_texts(moments: Moments, metric: Metric, example: float) -> float:
    """As far as texts lie from their labels' means beyond what few examples explain; half of e where none can tell.

    That makes a text worth two examples.
    """
    rows = [row for label in moments.texts if moments.counts[row := moments.place(label)]]
    if len(rows) < _TEXTS:
        return example / TEXT_SHOTS
    texts = np.stack([moments.texts[moments.labels[row]] for row in rows]) + moments.gap
    gaps = texts - moments.means[rows]
    far = metric.scale * np.einsum("cd,cd->c", gaps @ metric.inverse, gaps) - example / moments.counts[rows]
    return max(float(np.median(far)), example / TEXT_SHOTS)


def _part(
    vectors: Floats,
    residuals: Floats,
    rows: Rows,
    counts: Floats,
    shots: Floats,
    weights: Floats,
    squares: Floats,
    inverse: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Scores, (n, C), x^T G x and squared distances to the own label's mean, (n,), without each example itself."""
    each, alone = np.arange(len(rows)), shots <= 1  # set apart below
    left = np.where(alone, 1.0, shots - 1)
    directions = residuals @ inverse  # u
    inside = np.einsum("nd,nd->n", residuals, directions)  # z^T u
    factor = counts / np.maximum(counts - 1, 1)
    gain = factor / (1 - factor * inside)
    own = np.einsum("nd,nd->n", vectors, directions)  # x^T u
    length = np.einsum("nd,nd->n", vectors @ inverse, vectors)  # x^T G x
    across = residuals @ weights.T  # c^T u, (n, C)
    linear = vectors @ weights.T  # c^T G x, (n, C)
    square = np.broadcast_to(squares, linear.shape).copy()
    # Its own label's centre lies elsewhere.
    at, to, of = across[each, rows], linear[each, rows], squares[rows]
    across[each, rows] = at - (own - at) / left
    linear[each, rows] = to - (length - to) / left
    square[each, rows] = of - 2 * (to - of) / left + (length - 2 * to + of) / left**2
    # And the scatter is another.
    linear += (gain * own)[:, None] * across
    square += gain[:, None] * across**2
    scores = linear - 0.5 * square
    scores[each[alone], rows[alone]] = -np.inf
    # x lies z n / (n - 1) from the mean of the others.
    return scores, length + gain * own**2, factor**2 * (inside + gain * inside**2)
