"""Groups of examples that are left out together: frames of a clip, parts of a document, near copies."""

from collections.abc import Iterator

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Mask, Rows


def several_members(groups: Rows | None) -> Iterator[Rows]:
    """Yields the members of each group with two members or more, ascending.

    Args:
        groups: `(N,)`, equal numbers are one group; None if every example is a group of its own.
    """
    if groups is None:
        return
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    yield from (members for members in np.split(order, starts) if len(members) > 1)


def others_of_label(rows: Rows, groups: Rows | None, labels: int) -> Rows:
    """Returns how many examples each example's label keeps when the example's group is left out: `(N,)`.

    Args:
        rows: `(N,)`, the examples' labels.
        groups: `(N,)`, equal numbers are one group; None if every example is a group of its own.
        labels: C.
    """
    left_out = np.ones(len(rows), np.intp)
    for members in several_members(groups):
        left_out[members] = np.bincount(rows[members], minlength=labels)[rows[members]]
    return np.bincount(rows, minlength=labels)[rows] - left_out


def is_grouped(groups: Rows | None, count: int) -> Mask:
    """Returns which of `count` examples share their group with another example: `(count,)`."""
    result = np.zeros(count, bool)
    for members in several_members(groups):
        result[members] = True
    return result
