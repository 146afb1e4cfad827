"""Cosine to the direction of each label's centre: the mean of its examples, its text counting as two of them.

Nearest class mean (Mensink et al. 2013; with one example, 1-NN) and, for text alone, CLIP's zero-shot classifier
(Radford et al. 2021).
"""

from collections.abc import Sequence

import numpy as np

from glimpse.fewshot.statistics.class_statistics import MOST_EXACT, Moments
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


class ClassMeanHead:
    """Scores by cosine to the centres of moments that another head keeps: told of what changes, in O(d) a label.

    Of more than 10,000 labels it scores candidates alone.
    """

    def __init__(self, moments: Moments) -> None:
        self.moments = moments
        self._rows = np.zeros((8, moments.dimension), np.float32)
        self.refresh_all()

    def refresh(self, labels: Sequence[str]) -> None:
        """Some labels' centres have changed, or are new."""
        if len(self.moments.labels) > MOST_EXACT:
            return
        if len(self.moments.labels) > len(self._rows):
            more = np.zeros((max(len(self._rows), len(self.moments.labels)), self._rows.shape[1]), np.float32)
            self._rows = np.concatenate([self._rows, more])
        rows = [row for label in labels if (row := self.moments.row(label)) is not None]
        self._rows[rows] = _unit(self.moments.centres_of(np.array(rows, np.intp)))

    def refresh_all(self) -> None:
        """Any centre may have changed, and rows have moved."""
        if len(self.moments.labels) > MOST_EXACT:
            self._rows = np.zeros((8, self.moments.dimension), np.float32)
            return
        self._rows = np.concatenate([_unit(self.moments.centres), np.zeros((8, self.moments.dimension), np.float32)])

    def scores(self, queries: Array) -> Array:
        """Cosines, (n, d) → (n, C)."""
        return np.asarray(queries @ self._rows[: len(self.moments.labels)].T, np.float32)

    def scores_of(self, queries: Array, rows: Rows) -> Array:
        """Of each query's own labels alone: (n, d) and rows of the moments, (n, k) → (n, k)."""
        return np.asarray(np.einsum("nkd,nd->nk", self.directions(rows), queries), np.float32)

    def directions(self, rows: Rows) -> Array:
        """Unit centres of labels, (...) → (..., d); 0 where examples cancel out."""
        if len(self.moments.labels) > MOST_EXACT:
            return _unit(self.moments.centres_of(rows))
        return np.asarray(self._rows[rows], np.float32)


def leave_one_out_class_mean(moments: Moments, vectors: Array, rows: Rows) -> Floats:
    """Cosines of examples, (n, d), of the labels in these rows, (n,), each left out: (n, C); -inf for an only one."""
    values, each = np.asarray(vectors, np.float64), np.arange(len(rows))
    centres, shots = moments.centres, moments.shots[rows]
    scores = values @ np.asarray(_unit(centres), np.float64).T
    rest = centres[rows] * shots[:, None] - values  # the direction of the others' mean
    lengths = np.linalg.norm(rest, axis=1)
    scores[each, rows] = np.einsum("nd,nd->n", values, rest) / np.where(lengths > 0, lengths, 1.0)
    scores[each[shots <= 1], rows[shots <= 1]] = -np.inf
    return np.asarray(scores, np.float64)


def _unit(centres: Floats) -> Array:
    lengths = np.linalg.norm(centres, axis=-1, keepdims=True)
    # Opposite examples can cancel out: such a label has no direction, and scores 0 against everything.
    return np.asarray(centres / np.where(lengths > 1e-9, lengths, np.inf), np.float32)
