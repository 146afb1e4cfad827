"""Trains a residual layer y = (x + x W) / |x + x W| on frozen embeddings x, in few steps and without a validation set.

The loss is the cross-entropy of cosines to the label means, the example itself left out of its label's mean, plus
strength / N |W|²: the layer is pulled towards the frozen weights, W = 0, the less the more examples there are (ProLIP,
Fahes et al. 2024, arXiv 2410.05270, which does so for the last projection of CLIP). The scale of the cosines is that of
the temperature which leave-one-out finds on the frozen embeddings. Adam (Kingma and Ba 2015) takes a fixed number of
steps, so the result depends on nothing but the examples.
"""

import numpy as np

from glimpse.fewshot.calibration.calibration import best_temperature
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: Steps of Adam, and the length of the first one: in sum each weight can move by at most their product over d.
STEPS, RATE = 40, 0.5
_DECAYS = (0.9, 0.999)


def train_residual(vectors: Array, rows: Rows, strength: float = 1.0) -> Floats:
    """Trains the layer. O(N d²) for each step.

    Args:
        vectors: `(N, d)`, unit rows: the frozen embeddings of the examples.
        rows: `(N,)`, their labels.
        strength: how much the layer is pulled towards the frozen weights.

    Returns:
        W, `(d, d)`.
    """
    frozen = np.asarray(vectors, np.float32)
    count, dimension = frozen.shape
    _, labels = np.unique(rows, return_inverse=True)
    scale = 1 / best_temperature(_left_out(frozen, labels)[0], labels)
    weight = np.zeros((dimension, dimension), np.float32)
    mean, square = np.zeros_like(weight), np.zeros_like(weight)
    for step in range(1, STEPS + 1):
        gradient = frozen.T @ _gradient(frozen + frozen @ weight, labels, scale) + 2 * strength / count * weight
        mean += (1 - _DECAYS[0]) * (gradient - mean)
        square += (1 - _DECAYS[1]) * (gradient**2 - square)
        first, second = mean / (1 - _DECAYS[0] ** step), square / (1 - _DECAYS[1] ** step)
        weight -= RATE / dimension * first / (np.sqrt(second) + 1e-12)
    return np.asarray(weight, np.float64)


def _left_out(unit: Array, labels: Rows) -> tuple[Array, Array]:
    """Returns cosines to label means, the example itself left out of its own: `(N, C)`, and the means, `(C, d)`.

    An example that is alone keeps its own mean. Means are not scaled to length 1: what is near to few is far from all.
    """
    each, counts = np.arange(len(labels)), np.bincount(labels).astype(np.float32)
    means = np.zeros((len(counts), unit.shape[1]), np.float32)
    np.add.at(means, labels, unit)
    means /= counts[:, None]
    scores = unit @ means.T
    own = counts[labels]
    several = own > 1
    scores[each[several], labels[several]] = ((scores[each, labels] * own - 1) / np.maximum(own - 1, 1))[several]
    return scores, means


def _gradient(raw: Array, labels: Rows, scale: float) -> Array:
    """Returns the gradient of the mean cross-entropy by the layer's output before it is scaled: `(N, d)` → `(N, d)`."""
    each, counts = np.arange(len(labels)), np.bincount(labels).astype(np.float32)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    unit = raw / lengths
    scores, means = _left_out(unit, labels)
    scores *= scale
    scores -= scores.max(1, keepdims=True)
    error = np.exp(scores)
    error /= error.sum(1, keepdims=True)
    error[each, labels] -= 1
    own = counts[labels]
    # The own mean without the example is (n mean - unit) / (n - 1).
    error[each, labels] *= np.where(own > 1, own / np.maximum(own - 1, 1), 1)
    by_unit = error @ means + (error.T @ unit)[labels] / own[:, None]
    by_unit *= scale / len(labels)
    return np.asarray((by_unit - (by_unit * unit).sum(1, keepdims=True) * unit) / lengths, np.float32)
