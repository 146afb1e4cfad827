"""Answers with a subtree of a tree of labels: the deepest label whose descendants hold the whole prediction set.

A prediction set of sibling species says "one of these birds"; the deepest common ancestor of its labels says so with
one name. The subtree holds every label of the set, so it holds the right one at least as often as the set does, and the
coverage of the set carries over. Sets of one node are those of representation complexity 1 in Mortier et al. 2022,
"Set-valued prediction in hierarchical classification with constrained representation complexity", and 2025, "Conformal
prediction in hierarchical classification" (arXiv 2501.19038). The probability of an inner label is the sum over the
labels below it, as in Valmadre 2022, "Hierarchical classification at multiple operating points".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from glimpse.fewshot.calibration.calibration import labels_needed
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: The most labels on a path from a root to a label.
MAX_LEVELS = 16


# Not frozen: there is one for each query, and a frozen dataclass takes five times as long to create.
@dataclass(slots=True)
class Subtree:
    """The part of a tree that holds a prediction set.

    Attributes:
        path: labels from a root to the deepest one that holds the set; empty if only the whole tree does.
        probability: the sum over the labels of the subtree.
        labels: the prediction set, most probable first.
    """

    path: Sequence[str]
    probability: float
    labels: Sequence[str]

    @property
    def description(self) -> str:
        """The subtree as a clause for people, for an input of which several labels are left."""
        if not self.path:
            return f"it may be any of {len(self.labels)} labels, which have no common label above them"
        return f"the {len(self.labels)} labels left are in {'/'.join(self.path)}"


class LabelTree:
    """A tree of labels by their parents. A label without a parent is a root; there may be many."""

    def __init__(self, parents: Mapping[str, str]) -> None:
        """Creates a tree from the parent of each label that has one, without cycles."""
        self._parents = parents
        self._labels: list[str] = []
        self._levels: Rows = np.empty((0, 0), np.intp)

    @cached_property
    def inner(self) -> frozenset[str]:
        """The labels that have labels below them."""
        return frozenset(self._parents.values())

    def path(self, label: str) -> list[str]:
        """Returns the labels from a root to a label, at most 16."""
        path = [label]
        while len(path) < MAX_LEVELS and (parent := self._parents.get(path[-1])):
            path.append(parent)
        return path[::-1]

    def levels(self, labels: Sequence[str]) -> Rows:
        """Returns a number for each label on the path to each of C labels, `(C, D)`; -1 below the end of a path.

        Equal numbers in a column are the same label. The last result is kept.
        """
        if self._labels != labels or not self._levels.size:
            paths = [self.path(label) for label in labels]
            numbers: dict[str, int] = {}
            self._labels = list(labels)
            self._levels = np.full((len(labels), max(map(len, paths), default=0)), -1, np.intp)
            for row, path in zip(self._levels, paths, strict=True):
                row[: len(path)] = [numbers.setdefault(label, len(numbers)) for label in path]
        return self._levels

    def subtree(self, labels: Sequence[str], probabilities: Floats, members: Sequence[int] | Rows) -> Subtree:
        """Returns the subtree that holds a prediction set.

        Args:
            labels: C labels.
            probabilities: `(C,)`.
            members: the positions of the set's labels, most probable first.
        """
        levels = self.levels(labels)
        depth = common_depth(levels[members])
        inside = levels[:, depth - 1] == levels[members[0], depth - 1] if depth else slice(None)
        path = self.path(labels[members[0]])[:depth]
        return Subtree(path, float(probabilities[inside].sum()), [labels[member] for member in members])


def common_depth(levels: Rows) -> int:
    """Returns the length of the path that m labels have in common; `(m, D)`, rows of `LabelTree.levels`."""
    common = (levels == levels[0]).all(0) & (levels[0] >= 0)
    return int(common.sum())  # paths that have parted do not meet again


def set_members(scores: Array | Floats, probabilities: Floats, size: int, coverage: float) -> Rows:
    """Returns the positions of the labels in a prediction set, best first.

    Args:
        scores: `(C,)`.
        probabilities: `(C,)`, in the order of the scores.
        size: the size of the set; 0 if the examples are too few for one. Then the set has as many labels as their
            probabilities need for the coverage. Nothing vouches for it.
        coverage: the target rate at which the set contains the right label.
    """
    order = np.argsort(-scores, kind="stable")
    return order[: size or labels_needed(probabilities[order], coverage)]
