"""Draws the examples and the queries of a trial by seed, the same for every backbone and head."""

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


def split(rows: Rows, shots: int, seed: int) -> Split:
    """Draws `shots` examples per label and at least one query.

    A label with too few inputs uses all but one as examples. Queries are taken from the end of the same random order
    for every number of shots, so that large labels have the same queries at each.

    Args:
        rows: `(N,)`, the inputs' labels.
        shots: examples per label.
        seed: the seed of the draw.
    """
    rng = np.random.default_rng(seed)
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


def folds(rows: Rows, count: int) -> list[Split]:
    """Splits the queries into `count` disjoint parts, for trials without examples."""
    asked = split(rows, 0, 0).queries
    order = np.random.default_rng(0).permutation(asked)
    return [Split(np.empty(0, np.intp), order[i::count]) for i in range(count) if len(order[i::count])]
