"""Compares two embeddings of the same examples by leave-one-out, each with the head that it would answer with."""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.examples import Examples
from glimpse.fewshot.fit import fit
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.statistics.confidence_interval import paired_difference_interval
from glimpse.fewshot.statistics.unit_vectors import Mask, Rows


@dataclass(frozen=True, slots=True)
class PairedAccuracy:
    """The leave-one-out accuracy of two embeddings on the same `count` examples.

    Attributes:
        count: the examples that were left out in both.
        first: how many of them the first embedding answers correctly.
        second: how many the second one does.
        low: the lower end of the 95 % interval of the second accuracy minus the first.
        high: its upper end.
    """

    count: int
    first: int
    second: int
    low: float
    high: float

    @property
    def gain(self) -> float:
        """The second accuracy minus the first, in [-1, 1]."""
        return (self.second - self.first) / self.count


def compare_embeddings(
    first: Examples, second: Examples, pinned: HeadKind | None = None, *, independent: bool = False
) -> PairedAccuracy | None:
    """Fits both embeddings and leaves each example out in both.

    Args:
        first: N examples by one backbone.
        second: the same examples in the same order by another one; the dimension and the texts may differ.
        pinned: the head to use instead of the selected one.
        independent: whether any number of labels may hold for one input.

    Returns:
        The accuracies; None if no example can be left out in both. As expensive as two calls of `fit`.
    """
    places, right = _left_out(first, pinned, independent=independent)
    other_places, other_right = _left_out(second, pinned, independent=independent)
    # An example whose label's others are all near copies of it by one backbone alone is left out by the other only.
    _, here, there = np.intersect1d(places, other_places, assume_unique=True, return_indices=True)
    if not len(here):
        return None
    before, after = right[here], other_right[there]
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    low, high = paired_difference_interval(gained, lost, len(here))
    return PairedAccuracy(len(here), int(before.sum()), int(after.sum()), low, high)


def _left_out(examples: Examples, pinned: HeadKind | None, *, independent: bool) -> tuple[Rows, Mask]:
    """Returns the positions of the examples that were left out, and whether each was answered correctly: `(n,)`."""
    fitted = fit(examples, pinned, independent=independent, choice_only=True)
    evaluation = fitted.evaluations.get(fitted.chosen)
    if evaluation is None:
        return np.empty(0, np.intp), np.empty(0, np.bool_)
    return fitted.sampled, evaluation.predicted == fitted.rows
