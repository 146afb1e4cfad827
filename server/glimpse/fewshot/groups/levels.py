"""Chooses the height of the cut: by labelled vectors if there are enough, by density otherwise."""

from typing import NamedTuple

import numpy as np

from glimpse.fewshot.groups.density import silhouette
from glimpse.fewshot.groups.linkage import Merges, cut_at
from glimpse.fewshot.statistics.groups import several_members
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

# Heights between one cut and the next; each has about a fifth fewer groups.
_STEP = 2**-0.5
# Five of a label are enough to set the scale; more would make labels denser than the points that are grouped.
_PER_LABEL, _MOST = 5, 2_000
# Fewer pairs of one label say less than density does.
_LEAST_PAIRS = 20
# Fewer points have too few pairs to be counted without the references.
_LEAST_POINTS = 20
# The greatest part of pairs that may be of one label. With all of them there is nothing to agree about.
_MOST_SAME = 0.9


class References(NamedTuple):
    """The labels of labelled vectors that are in the graph too, after the points that are grouped."""

    #: (L,) positions of their labels.
    rows: Rows
    #: (L,) equal numbers for examples that are left out together (`Examples.groups`); None if each is on its own.
    left_out_groups: Rows | None = None


class Level(NamedTuple):
    """A cut of the tree of merges."""

    #: (N + L,) group numbers.
    groups: Rows
    height: float
    #: Whether labels chose it; otherwise density did.
    from_labels: bool


def choose_references(rows: Rows, left_out_groups: Rows | None = None) -> Rows:
    """Chooses examples that say where to cut: at most five of a label, at most 2,000. The choice is fixed.

    Args:
        rows: `(n,)`, the examples' labels; no negatives.
        left_out_groups: `(n,)`, equal numbers for examples that are left out together. Only one of them is chosen,
            because copies of one input would say that labels are denser than they are.

    Returns:
        `(L,)` positions, ascending.
    """
    order = np.random.default_rng(0).permutation(len(rows))
    if left_out_groups is not None:
        order = order[np.unique(left_out_groups[order], return_index=True)[1]]
        order = np.random.default_rng(0).permutation(order)
    by_label = order[np.argsort(rows[order], kind="stable")]
    starts = np.flatnonzero(np.diff(rows[by_label], prepend=-1))
    place = np.arange(len(by_label)) - np.repeat(starts, np.diff(starts, append=len(by_label)))
    # Labels take turns until there are enough, so that none is left out for another's fifth example.
    turns = by_label[np.argsort(place, kind="stable")][: np.count_nonzero(place < _PER_LABEL)]
    return np.sort(turns[:_MOST]).astype(np.intp)


def choose_level(
    merges: Merges, vectors: Array, references: References | None, *, with_references: bool = False
) -> Level:
    """Chooses the cut that agrees best with labels, or the densest one.

    Args:
        merges: the merges of all points.
        vectors: `(N + L, d)`, unit rows, the references last.
        references: L labels; None if there are none.
        with_references: whether the references are members of the groups too.
    """
    count = len(vectors)
    pairs = None if references is None else _pairs(references)
    heights = _heights(merges)
    cuts = [cut_at(merges, height, count) for height in heights]
    if references is not None and pairs is not None:
        points = count - len(references.rows)
        counted = count if with_references or points < _LEAST_POINTS else points
        scores = _expected_agreement(cuts, references, pairs, counted)
    else:
        scores = np.array([silhouette(vectors, groups) for groups in cuts])
    best = int(np.argmax(_smoothed(scores)))
    return Level(cuts[best], float(heights[best]), pairs is not None)


def _heights(merges: Merges) -> Floats:
    """Returns the heights to compare, falling: first no merge but those of copies, last every merge."""
    known = merges.heights[np.isfinite(merges.heights)]
    if not len(known):
        return np.array([1.0])
    highest, lowest = known.max(), known.min()
    steps = int(np.ceil(np.log(lowest / highest) / np.log(_STEP)))
    heights = np.asarray(2 * highest * _STEP ** np.arange(steps + 3), np.float64)
    # Rounding leaves the last one above the lowest merge where all weights are equal.
    heights[-1] = min(heights[-1], lowest)
    return heights


def _smoothed(scores: Floats) -> Floats:
    """Averages neighbouring levels: one level that is best by chance has no good ones beside it."""
    padded = np.pad(scores, 1, mode="edge")
    return np.asarray((padded[:-2] + 2 * scores + padded[2:]) / 4, np.float64)


def _pairs(references: References) -> tuple[Rows, Rows] | None:
    """Returns the pairs of references with the same label, without those left out together; None if too few."""
    if len(np.unique(references.rows)) < 2:
        return None
    lefts, rights = [], []
    for members in several_members(references.rows):
        left, right = np.triu_indices(len(members), 1)
        lefts.append(members[left])
        rights.append(members[right])
    if not lefts:
        return None
    left, right = np.concatenate(lefts), np.concatenate(rights)
    if (together := references.left_out_groups) is not None:
        apart = together[left] != together[right]
        left, right = left[apart], right[apart]
    return (left, right) if len(left) >= _LEAST_PAIRS else None


def _expected_agreement(cuts: list[Rows], references: References, pairs: tuple[Rows, Rows], counted: int) -> Floats:
    """Returns the adjusted Rand index that each cut is expected to have on the first `counted` rows: `(m,)`.

    The index needs three rates of pairs of rows: of one label (a), in one group (b), both (c). b is counted. Let r be
    the share of the references' pairs of one label that the cut joins, f that of their pairs of two labels. Then
    b = a r + (1 - a) f, and a is the slope of b - f over r - f by weighted least squares over the cuts. The references
    alone would judge by their own number of labels, which is smaller, and join too much.

    c is a r as well as b - (1 - a) f. Their mean is taken, weighted by inverse variances: r varies with the labels, so
    few labels say little about it, and labels with many rows are split more than their five references show.
    """
    known, labels = len(references.rows), len(np.unique(references.rows))
    rates = np.array([_rates(groups[:counted], groups[-known:], references.rows, pairs) for groups in cuts])
    joined, right, wrong = rates.T
    right_variance, wrong_variance = _variance(right, labels), _variance(wrong, known)
    weights = 1 / (right_variance / labels**2 + (1 - 1 / labels) ** 2 * wrong_variance)
    excess = np.maximum(right - wrong, 0)
    same = (weights * excess * (joined - wrong)).sum() / max((weights * excess**2).sum(), 1e-12)
    same = float(np.clip(same, min(1 / max(counted, 2), 1 / labels), _MOST_SAME))
    by_right, by_wrong = same * right, np.clip(joined - (1 - same) * wrong, 0, np.minimum(same, joined))
    first, second = 1 / (same**2 * right_variance), 1 / ((1 - same) ** 2 * wrong_variance)
    both, chance = (first * by_right + second * by_wrong) / (first + second), same * joined
    return np.asarray((both - chance) / ((same + joined) / 2 - chance), np.float64)


def _variance(shares: Floats, count: int) -> Floats:
    """Returns the variance of shares of `count` independent parts, not 0 for those that are all or none."""
    return np.asarray((shares * (1 - shares) + 0.25 / count) / count, np.float64)


def _rates(points: Rows, references: Rows, labels: Rows, pairs: tuple[Rows, Rows]) -> tuple[float, float, float]:
    """Returns the shares of joined pairs: of points, of references of one label, of references of two labels.

    Args:
        points: `(N,)`, the group of each counted row.
        references: `(L,)`, the group of each reference.
        labels: `(L,)`, the label of each reference.
        pairs: the references of one label, of `_pairs`.
    """
    left, right = pairs
    # All pairs of one label, those that were left out together too: the rest are of two labels.
    _, cells = np.unique(labels * (references.max() + 1) + references, return_counts=True)
    of_two = _pair_count(np.array([len(labels)])) - _pair_count(np.bincount(labels))
    joined_of_two = _pair_count(np.bincount(references)) - _pair_count(cells)
    return (
        _pair_count(np.bincount(points)) / max(_pair_count(np.array([len(points)])), 1.0),
        float(np.mean(references[left] == references[right])),
        joined_of_two / max(of_two, 1.0),
    )


def _pair_count(sizes: Rows) -> float:
    return float((sizes * (sizes - 1.0)).sum() / 2)
