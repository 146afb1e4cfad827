"""LDA's scores of examples whose whole group is left out, exact and without another inversion.

Removing a group from the pooled scatter W leaves W - V^T V. The rows of V are the residuals z = x - mu_y of the group's
examples and, for each label that keeps examples, their sum divided by sqrt(n_c - m_c), where m_c of its n_c examples
are in the group. With B = V G the inverse becomes (Woodbury 1950):

    G' = G + B^T (I - B V^T)^-1 B
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


@dataclass(frozen=True, slots=True)
class LeftOutGroup:
    """A group of m examples, and those among the examples to score that belong to it.

    Attributes:
        places: `(q,)`, positions among the examples to score.
        vectors: `(m, d)`, all members.
        rows: `(m,)`, their labels' rows.
    """

    places: Rows
    vectors: Array
    rows: Rows


@dataclass(frozen=True, slots=True)
class Centres:
    """The statistics that every group shares.

    Attributes:
        origin: `(d,)`, the mean of the labels' centres.
        centres: `(C, d)`, the centres c less the origin.
        weights: `(C, d)`, G c.
        squares: `(C,)`, c^T G c.
        means: `(C, d)`, the means of the examples alone.
        turned_means: `(C, d)`, G times these means less the origin.
    """

    origin: Floats
    centres: Floats
    weights: Floats
    squares: Floats
    means: Floats
    turned_means: Floats

    @classmethod
    def of(cls, moments: Moments, metric: Metric) -> Self:
        """Computes them once for all groups: O(C d²)."""
        origin = moments.centres.mean(0) if moments.labels else np.zeros(moments.dimension)
        centres, means = moments.centres - origin, moments.means
        weights = centres @ metric.inverse
        turned = (means - origin) @ metric.inverse if moments.texts else weights
        return cls(origin, centres, weights, np.einsum("cd,cd->c", centres, weights), means, turned)


@dataclass(frozen=True, slots=True)
class GroupScores:
    """The parts of the scores of a group's q members without the group, not yet scaled. x and c are less the origin.

    Attributes:
        linear: `(q, C)`, x^T G' c.
        square: `(q, C)`, c^T G' c.
        lengths: `(q,)`, x^T G' x.
        own: `(q,)`, squared distances to the mean of the own label's other examples; 0 if there is none.
    """

    linear: Floats
    square: Floats
    lengths: Floats
    own: Floats


def score_group(
    moments: Moments, metric: Metric, base: Centres, group: LeftOutGroup, queries: Floats, rows: Rows
) -> GroupScores:
    """Scores members of a group, `(q, d)` of labels `(q,)`, with the whole group left out. O(m d² + m C d)."""
    labels, members = np.unique(group.rows, return_inverse=True)  # (l,), (m,)
    values, out = np.asarray(group.vectors, np.float64), np.bincount(members)
    sums = np.zeros((len(labels), values.shape[1]))
    np.add.at(sums, members, values)  # of the group's examples of each label, (l, d)
    kept, left = moments.counts[labels] - out, moments.shots[labels] - out
    change = _change(values - base.means[labels][members], members, kept)  # V
    turned = change @ metric.inverse  # B
    inner = np.eye(len(change)) - turned @ change.T
    # The group's labels have other centres without it.
    moved = sums - out[:, None] * base.origin
    centres = (base.centres[labels] * moments.shots[labels, None] - moved) / np.where(left > 0, left, 1.0)[:, None]
    weights, squares = base.weights.copy(), base.squares.copy()
    weights[labels] = centres @ metric.inverse
    squares[labels] = np.einsum("ld,ld->l", centres, weights[labels])
    across = change @ weights.T  # V G c
    solved = np.linalg.solve(inner, across)
    around = queries - base.origin
    linear = around @ weights.T + (around @ turned.T) @ solved
    square = np.broadcast_to(squares + np.einsum("vc,vc->c", across, solved), linear.shape)

    def lengths(some: Floats) -> Floats:
        far = some @ turned.T
        plain = np.einsum("qd,qd->q", some @ metric.inverse, some)
        return np.asarray(plain + np.einsum("qv,vq->q", far, np.linalg.solve(inner, far.T)), np.float64)

    place = np.searchsorted(labels, rows)
    rest = (base.means[labels] * moments.counts[labels, None] - sums) / np.maximum(kept, 1)[:, None]
    gaps = np.where(kept[place, None] > 0, queries - rest[place], 0.0)
    return GroupScores(linear, square, lengths(around), lengths(gaps))


def _change(residuals: Floats, members: Rows, kept: Floats) -> Floats:
    """Returns V: residuals `(m, d)`, the members' labels `(m,)`, and the examples that each label keeps, `(l,)`."""
    sums = np.zeros((len(kept), residuals.shape[1]))
    np.add.at(sums, members, residuals)
    change = np.concatenate([residuals, sums[kept > 0] / np.sqrt(kept[kept > 0])[:, None]])
    # A large group has at most d directions: the triangle of its QR decomposition has the same V^T V.
    return np.asarray(np.linalg.qr(change, "r") if len(change) > change.shape[1] else change, np.float64)


def groups_among(groups: Iterable[Rows], vectors: Array, rows: Rows, scored: Rows) -> list[LeftOutGroup]:
    """Returns the groups that have members among the examples to score.

    Args:
        groups: the members of each group, as positions among all examples.
        vectors: `(N, d)`, all examples.
        rows: `(N,)`, their labels' rows.
        scored: `(n,)`, the examples to score.
    """
    result = []
    for members in groups:
        places = np.flatnonzero(np.isin(scored, members))
        if len(places):
            result.append(LeftOutGroup(places, vectors[members], rows[members]))
    return result
