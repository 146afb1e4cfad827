"""The class mean head: cosine to each label's centre, the mean of its examples with its text counted as w of them.

    s_c(x) = x · m_c / |m_c|,   m_c = (sum of the examples + w (t_c + gap)) / (n_c + w)

This is the nearest class mean (Mensink et al. 2013); with one example it is 1-NN, and with text alone it is CLIP's
zero-shot classifier (Radford et al. 2021). If every label has one example and none has text, vectors are centred first
(heads/one_shot.py).
"""

from collections.abc import Sequence

import numpy as np

from glimpse.fewshot.calibration.group_left_out import LeftOutGroup
from glimpse.fewshot.heads.one_shot import Centring
from glimpse.fewshot.statistics.class_statistics import MOST_EXACT, Moments
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


class ClassMeanHead:
    """Scores by cosine to the centres of statistics that another head keeps. O(d) per changed label.

    With more than 10,000 labels it scores candidates only. Call `refresh` after the statistics change.
    """

    def __init__(self, moments: Moments) -> None:
        self.moments = moments
        self._rows = np.zeros((8, moments.dimension), np.float32)
        self._centring: Centring | None = None
        self.refresh_all()

    def refresh(self, labels: Sequence[str]) -> None:
        """Updates the centres of labels that are new or have changed."""
        self._centring = None
        if len(self.moments.labels) > MOST_EXACT:
            return
        if len(self.moments.labels) > len(self._rows):
            more = np.zeros((max(len(self._rows), len(self.moments.labels)), self._rows.shape[1]), np.float32)
            self._rows = np.concatenate([self._rows, more])
        rows = [row for label in labels if (row := self.moments.row(label)) is not None]
        self._rows[rows] = _unit(self.moments.centres_of(np.array(rows, np.intp)))

    def refresh_all(self) -> None:
        """Updates every centre; call it when rows have moved."""
        self._centring = None
        if len(self.moments.labels) > MOST_EXACT:
            self._rows = np.zeros((8, self.moments.dimension), np.float32)
            return
        self._rows = np.concatenate([_unit(self.moments.centres), np.zeros((8, self.moments.dimension), np.float32)])

    @property
    def centring(self) -> Centring | None:
        """The centring of vectors; None unless two labels or more have one example each, and no label has text."""
        moments = self.moments
        usable = not moments.texts and 2 <= len(moments.labels) <= MOST_EXACT
        if self._centring is None and usable and bool((moments.counts == 1).all()):
            self._centring = Centring.of(self._rows[: len(moments.labels)])
        return self._centring

    def scores(self, queries: Array, *, centred: bool = True) -> Array:
        """Returns cosines to every centre: `(n, d)` → `(n, C)` float32.

        Args:
            queries: `(n, d)`, unit rows.
            centred: False returns plain cosines even if vectors are centred at one shot.
        """
        cosines = np.asarray(queries @ self._rows[: len(self.moments.labels)].T, np.float32)
        centring = self.centring if centred else None
        return cosines if centring is None else centring.scores(queries, cosines)

    def scores_of(self, queries: Array, rows: Rows) -> Array:
        """Returns cosines to each query's own candidates: `(n, d)` and rows `(n, k)` → `(n, k)` float32."""
        return np.asarray(np.einsum("nkd,nd->nk", self.directions(rows), queries), np.float32)

    def directions(self, rows: Rows) -> Array:
        """Returns unit centres of labels by rows, `(...)` → `(..., d)`; 0 if a label's examples cancel out."""
        if len(self.moments.labels) > MOST_EXACT:
            return _unit(self.moments.centres_of(rows))
        return np.asarray(self._rows[rows], np.float32)


def leave_one_out_class_mean(
    moments: Moments, vectors: Array, rows: Rows, groups: Sequence[LeftOutGroup] = ()
) -> Floats:
    """Returns cosines of examples to every centre, each example left out of its own label's centre.

    Args:
        moments: the class statistics.
        vectors: `(n, d)`, the examples.
        rows: `(n,)`, their labels' rows.
        groups: groups of more than one example that the examples belong to; each is left out as a whole.

    Returns:
        `(n, C)` float64; -inf for a label that has nothing but the example.
    """
    values, each = np.asarray(vectors, np.float64), np.arange(len(rows))
    centres, shots = moments.centres, moments.shots[rows]
    scores = values @ np.asarray(_unit(centres), np.float64).T
    rest = centres[rows] * shots[:, None] - values  # has the direction of the mean of the others
    lengths = np.linalg.norm(rest, axis=1)
    scores[each, rows] = np.einsum("nd,nd->n", values, rest) / np.where(lengths > 0, lengths, 1.0)
    scores[each[shots <= 1], rows[shots <= 1]] = -np.inf
    for group in groups:
        labels, members = np.unique(group.rows, return_inverse=True)
        rest = centres[labels] * moments.shots[labels, None]
        np.subtract.at(rest, members, np.asarray(group.vectors, np.float64))
        places = np.ix_(group.places, labels)
        scores[places] = values[group.places] @ np.asarray(_unit(rest), np.float64).T
        scores[np.ix_(group.places, labels[moments.shots[labels] <= np.bincount(members)])] = -np.inf
    return np.asarray(scores, np.float64)


def _unit(centres: Floats) -> Array:
    lengths = np.linalg.norm(centres, axis=-1, keepdims=True)
    # Opposite examples can cancel out. Such a label has no direction and scores 0 against everything.
    return np.asarray(centres / np.where(lengths > 1e-9, lengths, np.inf), np.float32)
