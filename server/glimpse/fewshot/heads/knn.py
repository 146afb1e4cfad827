"""Weighted nearest neighbours: softmax(cosine / 0.07) votes (Wu et al. 2018). For labels of many modes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.statistics.unit_vectors import Array, Rows

_MOST = 10  # neighbours
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The votes of the k nearest of N examples."""

    vectors: Array
    rows: Rows
    labels: int
    k: int

    @classmethod
    def fit(cls, vectors: Array, rows: Rows, labels: int) -> "Neighbors":
        """From unit vectors, (N, d), and the columns of their labels, (N,); k is the shots of a label, at most 10."""
        shots = np.bincount(rows, minlength=labels)
        middle = int(np.median(shots[shots > 0])) if len(rows) else 1
        return cls(vectors, rows, labels, min(_MOST, max(1, middle)))

    def scores(self, queries: Array) -> Array:
        """(n, d) → (n, C)."""
        return self._votes(queries, None)

    def left_out(self, some: Rows, *, with_label: bool = False) -> Array:
        """What the others, or those of other labels, say of some of the examples: (n,) → (n, C)."""
        parts = [some[start : start + _CHUNK] for start in range(0, len(some), _CHUNK)]
        found = []
        for part in parts:
            out = np.arange(len(self.rows)) == part[:, None]
            found.append(self._votes(self.vectors[part], self.rows == self.rows[part, None] if with_label else out))
        return np.concatenate(found) if found else np.empty((0, self.labels), np.float32)

    def _votes(self, queries: Array, without: "npt.NDArray[np.bool_] | None") -> Array:
        cosines = queries @ self.vectors.T
        if without is not None:
            cosines[without] = -np.inf
        k = min(self.k, cosines.shape[1])
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k] if k else np.empty((len(cosines), 0), np.intp)
        found = np.take_along_axis(cosines, nearest, 1)
        return votes(found, np.where(np.isfinite(found), self.rows[nearest], -1), self.labels)


def votes(similarities: npt.ArrayLike, rows: Rows, labels: int) -> Array:
    """Each label's part of the votes, (n, C).

    From k neighbours' cosines and the columns of their labels, (n, k) each; column -1: no more neighbours.
    """
    there = rows >= 0
    cosines = np.where(there, np.asarray(similarities, np.float64), -1.0)
    weights = np.where(there, np.exp(EXAMPLE_SCALE * (cosines - cosines.max(1, keepdims=True, initial=-1.0))), 0.0)
    total = weights.sum(1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    found = np.zeros((len(cosines), labels))
    np.add.at(found, (np.arange(len(cosines))[:, None], np.where(there, rows, 0)), weights)
    return np.asarray(found, np.float32)
