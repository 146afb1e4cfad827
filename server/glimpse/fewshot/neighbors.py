"""Weighted nearest neighbours: softmax(cosine / 0.07) votes (Wu et al. 2018). For labels of many modes."""

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.vectors import Array, Rows


def votes(similarities: npt.ArrayLike, rows: Rows, labels: int) -> Array:
    """Each label's part of the votes, (n, C).

    From k neighbours' cosines and the columns of their labels, (n, k) each; column -1: no more neighbours.
    """
    cosines = np.asarray(similarities, np.float64)
    there = rows >= 0
    weights = np.where(there, np.exp(EXAMPLE_SCALE * (cosines - cosines.max(1, keepdims=True, initial=-1.0))), 0.0)
    total = weights.sum(1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    found = np.zeros((len(cosines), labels))
    np.add.at(found, (np.arange(len(cosines))[:, None], np.where(there, rows, 0)), weights)
    return np.asarray(found, np.float32)
