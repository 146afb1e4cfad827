"""The fit of each example to its label: which mean of a label is nearest when the example itself is left out."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glimpse.console.maps.projection import Floats

Codes = NDArray[np.int32]

NOT_MEASURED = -1
_CHUNK_VALUES = 1 << 23  # cosines at once: 32 MiB


@dataclass(frozen=True, slots=True)
class Fit:
    """The fit of n examples to their labels, of which there are L.

    Attributes:
        nearest: Label whose mean is nearest to each example, of shape `(n,)`. The example is left out of the mean of
            its own label. NOT_MEASURED: the label has no other example, or is no class.
        own: Cosine to the mean of the own label without the example, of shape `(n,)`. NaN: not measured.
        neighbor: The other label whose mean is nearest to that of each label, of shape `(L,)`. NOT_MEASURED: none.
        neighbor_cosine: Cosine between the two means, of shape `(L,)`. NaN: not measured.
    """

    nearest: Codes
    own: Floats
    neighbor: Codes
    neighbor_cosine: Floats


def measure_fit(vectors: Floats, labels: Codes, classes: NDArray[np.bool_]) -> Fit:
    """Measures how well examples fit their labels.

    Args:
        vectors: Unit vectors, of shape `(n, d)`.
        labels: The label of each, of shape `(n,)`, as a position in `classes`.
        classes: Whether each label is a class that can be an answer, of shape `(L,)`.
    """
    sums = np.zeros((len(classes), vectors.shape[1]), np.float64)
    np.add.at(sums, labels, vectors)
    counts = np.bincount(labels, minlength=len(classes))
    usable = classes & (counts > 0)
    means = _unit(sums).astype(np.float32)
    nearest = np.full(len(labels), NOT_MEASURED, np.int32)
    own = np.full(len(labels), np.nan, np.float32)
    [measured] = np.nonzero(usable[labels] & (counts[labels] > 1))
    step = max(1, _CHUNK_VALUES // max(1, len(classes)))
    for start in range(0, len(measured), step):
        rows = measured[start : start + step]
        left_out = _unit(sums[labels[rows]] - vectors[rows])
        own[rows] = (left_out * vectors[rows]).sum(axis=1)
        cosines = np.where(usable, vectors[rows] @ means.T, -np.inf)
        cosines[np.arange(len(rows)), labels[rows]] = own[rows]
        nearest[rows] = cosines.argmax(axis=1)
    return Fit(nearest, own, *_neighbors(means, usable))


def _neighbors(means: Floats, usable: NDArray[np.bool_]) -> tuple[Codes, Floats]:
    neighbor = np.full(len(means), NOT_MEASURED, np.int32)
    cosine = np.full(len(means), np.nan, np.float32)
    if usable.sum() < 2:
        return neighbor, cosine
    for label in np.flatnonzero(usable):
        cosines = np.where(usable, means @ means[label], -np.inf)
        cosines[label] = -np.inf
        neighbor[label] = cosines.argmax()
        cosine[label] = cosines[neighbor[label]]
    return neighbor, cosine


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
