"""Weighted nearest neighbours: votes of weight exp(cosine / 0.07), normalised (Wu et al. 2018).

For labels with several modes, and to explain an answer.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.statistics.unit_vectors import Array, Rows

_MOST = 10  # neighbours
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Neighbors:
    """Votes of the k nearest of N examples."""

    vectors: Array
    rows: Rows
    labels: int
    k: int
    #: Examples that are left out together have equal numbers, (N,).
    groups: Rows

    @classmethod
    def fit(cls, vectors: Array, rows: Rows, labels: int, groups: Rows | None = None) -> "Neighbors":
        """Stores the examples; k is the median number of examples per label, at most 10.

        Args:
            vectors: `(N, d)`, unit rows.
            rows: `(N,)`, the columns of their labels.
            labels: C.
            groups: `(N,)`, equal numbers mark examples that are left out together; None if each is left out alone.
        """
        shots = np.bincount(rows, minlength=labels)
        middle = int(np.median(shots[shots > 0])) if len(rows) else 1
        each = np.arange(len(rows)) if groups is None else groups
        return cls(vectors, rows, labels, min(_MOST, max(1, middle)), each)

    def scores(self, queries: Array) -> Array:
        """Scores queries: `(n, d)` → `(n, C)` float32, rows summing to 1."""
        return self._votes(queries, None)

    def left_out(self, some: Rows, *, with_label: bool = False) -> Array:
        """Scores some of the examples without themselves, or without their whole label: `(n,)` → `(n, C)`."""
        parts = [some[start : start + _CHUNK] for start in range(0, len(some), _CHUNK)]
        blocks = []
        for part in parts:
            out = self.groups == self.groups[part, None]
            if with_label:
                out |= self.rows == self.rows[part, None]
            blocks.append(self._votes(self.vectors[part], out))
        return np.concatenate(blocks) if blocks else np.empty((0, self.labels), np.float32)

    def _votes(self, queries: Array, without: "npt.NDArray[np.bool_] | None") -> Array:
        cosines = queries @ self.vectors.T
        if without is not None:
            cosines[without] = -np.inf
        k = min(self.k, cosines.shape[1])
        nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k] if k else np.empty((len(cosines), 0), np.intp)
        similarities = np.take_along_axis(cosines, nearest, 1)
        return votes(similarities, np.where(np.isfinite(similarities), self.rows[nearest], -1), self.labels)


def votes(similarities: npt.ArrayLike, rows: Rows, labels: int) -> Array:
    """Returns each label's share of the votes.

    Args:
        similarities: `(n, k)`, cosines of the neighbours.
        rows: `(n, k)`, the columns of their labels; -1 for no neighbour.
        labels: C.

    Returns:
        `(n, C)` float32.
    """
    valid = rows >= 0
    cosines = np.where(valid, np.asarray(similarities, np.float64), -1.0)
    weights = np.where(valid, np.exp(EXAMPLE_SCALE * (cosines - cosines.max(1, keepdims=True, initial=-1.0))), 0.0)
    total = weights.sum(1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
    shares = np.zeros((len(cosines), labels))
    np.add.at(shares, (np.arange(len(cosines))[:, None], np.where(valid, rows, 0)), weights)
    return np.asarray(shares, np.float32)
