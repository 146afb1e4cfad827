"""What LDA would have said of each example, had it not been among the examples: exactly, without fitting N times.

Taking x_i out of label y changes W by -k z z^T, z = x_i - mu_y, k = n_y / (n_y - 1). With the ridge and the scale as
they are, G becomes G + g u u^T, u = G z, g = k / (1 - k z^T u) (Sherman and Morrison 1950), and mu_y becomes
mu_y - z / (n_y - 1).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.moments import Floats, Moments

Rows = npt.NDArray[np.intp]
# Examples worked on at once: their scores against thousands of labels stay within a few tens of megabytes.
_CHUNK = 1_024


@dataclass(frozen=True, slots=True)
class LeftOut:
    """For each of N examples, what the others say of it."""

    #: (N, C); its own label's column is -inf where it is that label's only example.
    scores: npt.NDArray[np.float32]
    #: Squared Mahalanobis distance to the nearest label's true mean, (N,); and to the mean of its own label's others.
    distances: Floats
    own: Floats
    #: The squared distance e of an example from its label's true mean.
    spread: float


def leave_one_out(moments: Moments, inverse: Floats, scale: float, vectors: Floats, rows: Rows) -> LeftOut:
    """The examples, (N, d), with the rows of their labels, (N,), under G (d, d) and its scale (d + nu)."""
    found = list(_parts(moments, inverse, scale, np.asarray(vectors, np.float64), rows))
    scores, lengths, own = (np.concatenate(several) for several in zip(*found, strict=True))
    counts = moments.counts[rows]
    several = counts > 1
    # An example left out lies e (1 + 1 / (n - 1)) from the mean of the others. The lower quartile, as examples that are
    # unlike their label would raise the average.
    spread = float(np.quantile((own * (counts - 1) / counts)[several], 0.25)) if several.any() else 0.0
    scores += 0.5 * spread / moments.counts
    scores[np.arange(len(rows)), rows] += 0.5 * spread * (1 / np.maximum(counts - 1, 1) - 1 / counts)
    return LeftOut(np.asarray(scores, np.float32), lengths - 2 * scores.max(1), own, spread)


def _parts(
    moments: Moments, inverse: Floats, scale: float, vectors: Floats, rows: Rows
) -> Iterator[tuple[Floats, Floats, Floats]]:
    means = moments.means
    weights = means @ inverse  # (C, d)
    squares = np.einsum("cd,cd->c", means, weights)  # mu_c^T G mu_c
    for start in range(0, max(1, len(rows)), _CHUNK):
        part = slice(start, start + _CHUNK)
        yield _part(vectors[part], rows[part], moments.counts[rows[part]], means, weights, squares, inverse, scale)


def _part(
    vectors: Floats,
    rows: Rows,
    counts: Floats,
    means: Floats,
    weights: Floats,
    squares: Floats,
    inverse: Floats,
    scale: float,
) -> tuple[Floats, Floats, Floats]:
    """Scores, (n, C), x^T P x and squared distances to the own label's mean, (n,), without each example itself."""
    each = np.arange(len(rows))
    others = np.maximum(counts - 1, 1)  # an only example has z = 0, and is set apart below
    residuals = vectors - means[rows]
    directions = residuals @ inverse  # u
    spread = np.einsum("nd,nd->n", residuals, directions)  # z^T u
    factor = counts / others
    gain = factor / (1 - factor * spread)
    own = np.einsum("nd,nd->n", vectors, directions)  # x^T u
    across = residuals @ weights.T  # mu_c^T u: (n, C)
    linear = vectors @ weights.T + (gain * own)[:, None] * across
    square = squares + gain[:, None] * across**2
    # Its own label's mean lies elsewhere too.
    at_mean = across[each, rows]
    moved = at_mean - spread / others  # mu_y'^T u
    linear[each, rows] = (vectors * weights[rows]).sum(1) - own / others + gain * own * moved
    square[each, rows] = squares[rows] - 2 * at_mean / others + spread / others**2 + gain * moved**2
    scores = scale * (linear - 0.5 * square)
    scores[each[counts < 2], rows[counts < 2]] = -np.inf
    lengths = scale * (np.einsum("nd,nd->n", vectors @ inverse, vectors) + gain * own**2)
    # x - mu_y' = z n / (n - 1).
    return scores, lengths, scale * factor**2 * (spread + gain * spread**2)
