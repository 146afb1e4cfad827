"""Which inputs are examples and which are asked about: drawn by seed, the same for every backbone and head."""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Rows

#: Inputs asked about in one trial: of a label, and in all.
MOST_A_LABEL, MOST = 200, 20_000
#: Draws for what is measured beside accuracy and takes as long: domains, and strangers by withholding labels.
MOST_SEEDS_BESIDE = 3


@dataclass(frozen=True, slots=True)
class Split:
    """Places of inputs: the examples, and those asked about."""

    support: Rows
    queries: Rows


def most_queries(labels: int) -> int:
    """How many inputs of a label are asked about at most."""
    return max(1, min(MOST_A_LABEL, MOST // labels))


def split(rows: Rows, shots: int, seed: int) -> Split:
    """`shots` examples a label, from labels' rows, (N,), and others of the same label to ask about, at least one.

    A label with too few gives all but one. The others are taken from the end of the same order whatever the shots, so
    that where there are many, the same are asked about at each.
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
    """Where no example is drawn: the same inputs in `count` parts that share none, so that parts can be compared."""
    asked = split(rows, 0, 0).queries
    order = np.random.default_rng(0).permutation(asked)
    return [Split(np.empty(0, np.intp), order[i::count]) for i in range(count) if len(order[i::count])]
