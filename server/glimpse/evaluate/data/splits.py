"""Draws the examples and the queries of a trial by seed, the same for every backbone and head.

A group is never on both sides: its inputs are no independent evidence.
"""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Rows

#: The most queries of one trial: per label, and in total.
MOST_A_LABEL, MOST = 200, 20_000
#: The most seeds for measurements other than accuracy that take as long: domains and held-out labels.
MOST_SEEDS_BESIDE = 3


@dataclass(frozen=True, slots=True)
class Split:
    """Positions of the examples (support) and of the queries."""

    support: Rows
    queries: Rows


def most_queries(labels: int) -> int:
    """Returns the most queries per label."""
    return max(1, min(MOST_A_LABEL, MOST // labels))


def split(rows: Rows, shots: int, seed: int, groups: Rows | None = None) -> Split:
    """Draws `shots` examples per label and at least one query.

    A label with too few inputs uses all but one as examples. Queries are taken from the end of the same random order
    for every number of shots, so that large labels have the same queries at each. With groups, a label's examples come
    from as many groups as possible, but leave it one for its queries; a label of one group has queries alone.

    Args:
        rows: `(N,)`, the inputs' labels.
        shots: examples per label.
        seed: the seed of the draw.
        groups: `(N,)`, equal numbers mark inputs of one group; None without groups.
    """
    rng = np.random.default_rng(seed)
    if groups is not None:
        return _split_groups(rows, shots, rng, groups)
    places, labels = np.argsort(rows, kind="stable"), int(rows.max()) + 1
    ends = np.cumsum(np.bincount(rows, minlength=labels))
    most = most_queries(labels)
    support, queries = [], []
    for own in np.split(places, ends[:-1]):
        order = rng.permutation(own)
        taken = min(shots, len(order) - 1)
        support.append(order[:taken])
        queries.append(order[max(taken, len(order) - most) :])
    return Split(np.concatenate(support), np.concatenate(queries))


def _split_groups(rows: Rows, shots: int, rng: np.random.Generator, groups: Rows) -> Split:
    """Splits as `split` does, by whole groups. One random order of the groups serves all labels."""
    _, numbers = np.unique(groups, return_inverse=True)
    rank = rng.permutation(int(numbers.max()) + 1)[numbers]
    shuffled = rng.permutation(len(rows))
    labels = int(rows.max()) + 1
    support = np.concatenate([_spread(shuffled[rows[shuffled] == row], rank, shots) for row in range(labels)])
    apart = shuffled[~np.isin(rank[shuffled], rank[support])]
    queries = [apart[rows[apart] == row][: most_queries(labels)] for row in range(labels)]
    return Split(support, np.concatenate(queries))


def _spread(own: Rows, rank: Rows, shots: int) -> Rows:
    """Returns up to `shots` inputs of a label, from as many groups as possible; the group of the last rank is left."""
    present = np.unique(rank[own])
    allowed = own[np.isin(rank[own], present[: max(min(shots, len(present) - 1), 0)])]
    ranks = rank[allowed]
    order = np.argsort(ranks, kind="stable")
    # The number of an input within its group: 0 for the first of each group, and so on.
    turn = np.empty(len(allowed), np.intp)
    turn[order] = np.arange(len(allowed)) - np.searchsorted(ranks[order], ranks[order])
    return allowed[np.lexsort((ranks, turn))][:shots]


def folds(rows: Rows, count: int) -> list[Split]:
    """Splits the queries into `count` disjoint parts, for trials without examples."""
    asked = split(rows, 0, 0).queries
    order = np.random.default_rng(0).permutation(asked)
    return [Split(np.empty(0, np.intp), order[i::count]) for i in range(count) if len(order[i::count])]
