"""Compares two backbones on the same examples, by the nearest class mean with each example left out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964  # of a 95 % interval


@dataclass(frozen=True, slots=True)
class Trial:
    """The accuracy of two backbones on the same examples.

    Attributes:
        count: Number of examples that were answered: those of labels with two or more.
        current: Accuracy with the collection's backbone, in [0, 1].
        other: Accuracy with the other backbone.
        gain: `other` minus `current`.
        low: Lower end of the 95 % interval of the gain.
        high: Upper end of it.
    """

    count: int
    current: float
    other: float
    gain: float
    low: float
    high: float


def compare(labels: Sequence[str], current: NDArray[np.float32], other: NDArray[np.float32]) -> Trial | None:
    """Compares vectors of two backbones.

    The interval is that of a difference of paired shares by Agresti and Min, 2005 ("Simple improved confidence
    intervals for comparing matched proportions"): half an example is added to each cell of the table.

    Args:
        labels: The label of each example.
        current: Its vectors by one backbone, `(n, d)`.
        other: Its vectors by the other one, `(n, e)`.

    Returns:
        The accuracies. None: fewer than two labels have two examples.
    """
    ids, index, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    used = counts[index] > 1
    if (counts > 1).sum() < 2:
        return None
    old, new = _right(index, len(ids), current)[used], _right(index, len(ids), other)[used]
    count, gained, lost = len(old), int((new & ~old).sum()), int((old & ~new).sum())
    middle = (gained - lost) / (count + 2)
    width = _Z * math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (count + 2)) / (count + 2)
    gain = (gained - lost) / count
    return Trial(count, float(old.mean()), float(new.mean()), gain, max(-1.0, middle - width), min(1.0, middle + width))


def _right(index: NDArray[np.intp], label_count: int, vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Returns whether each example is nearest to its own label's mean of the others, `(n,)`."""
    rows = np.arange(len(index))
    unit = _unit(vectors.astype(np.float64))
    sums = np.zeros((label_count, unit.shape[1]))
    np.add.at(sums, index, unit)
    cosines = unit @ _unit(sums).T  # (n, labels)
    cosines[rows, index] = (unit * _unit(sums[index] - unit)).sum(1)
    right: NDArray[np.bool_] = cosines.argmax(1) == index
    return right


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A label's only example leaves a mean of zero, which no query is near to.
    unit: NDArray[np.float64] = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return unit
