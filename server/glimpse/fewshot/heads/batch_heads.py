"""The heads that are fitted to all examples at once rather than updated example by example."""

from collections.abc import Iterator

import numpy as np

from glimpse.fewshot.heads.additive_model import AttributeRegression
from glimpse.fewshot.heads.head_selection import MANY_SHOTS, MIN_SHOTS_TO_COMPARE, HeadKind, median_shots
from glimpse.fewshot.heads.joined_heads import JoinedHeads
from glimpse.fewshot.heads.kernel_ridge import MOST_EXAMPLES, KernelRidge
from glimpse.fewshot.heads.knn import Neighbors
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.heads.projected_ridge import ProjectedRidge
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: A head that is fitted to all examples at once.
BatchHead = AttributeRegression | JoinedHeads | KernelRidge | ProjectedRidge | Neighbors
# The fewest labels, and shots of each, from which one example of every label is left out.
_FEWEST_LABELS, _FEWEST_SHOTS = 2, 2
# Under 8 shots kernel ridge is fitted only to be reported, where that takes a fraction of a second.
_MOST_REPORTED = 500
# Projected ridge takes O(N) time and memory for each of its 2,000 features.
_MOST_PROJECTED = 50_000


def fit_batch_heads(
    vectors: Array,
    rows: Rows,
    lda: LdaHead,
    lda_left_out: Floats,
    some: Rows,
    pinned: HeadKind | None,
    groups: Rows | None = None,
    choice_only: bool = False,
) -> Iterator[tuple[HeadKind, BatchHead, Array | Floats, Array | Floats]]:
    """Fits each batch head that is worth comparing, or that is pinned.

    Args:
        vectors: `(N, d)`, unit rows.
        rows: `(N,)`, the columns of their labels.
        lda: LDA, fitted to the examples.
        lda_left_out: `(n, C)`, its scores of `some`, each left out.
        some: `(n,)`, the examples to evaluate on.
        pinned: the head that the collection asks for, or None.
        groups: `(N,)`, equal numbers mark examples that are left out together; None if each is left out alone.
        choice_only: True leaves out a head that cannot be selected.

    Yields:
        The kind, the head, and its scores of `some`, `(n, C)`, without each example and without its whole label.
    """
    counts = lda.moments.counts
    if not counts.all():  # a label with text alone could never win
        return
    count = len(counts)
    # A regression neglects labels of few examples, which leave-one-out rarely shows: most examples are of the others.
    compare = pinned is None and count > 0 and float(counts.min()) >= MIN_SHOTS_TO_COMPARE
    turns = turns_of(rows, counts) if groups is None else None
    report = not choice_only and pinned is None and turns is not None and len(rows) <= _MOST_REPORTED
    if (compare or report or pinned is HeadKind.KERNEL_RIDGE) and len(rows) <= MOST_EXAMPLES:
        kernel = KernelRidge.fit(vectors, rows, count, groups if turns is None else turns)
        joined = JoinedHeads.of(lda, lda_left_out, kernel, some, rows[some])
        left_out, alone = (joined.joined(lda_left_out, part[some]) for part in (kernel.left_out, kernel.label_left_out))
        yield HeadKind.KERNEL_RIDGE, joined, left_out, alone
    many = compare and median_shots(counts) >= MANY_SHOTS
    if (many or pinned is HeadKind.PROJECTED_RIDGE) and len(rows) <= _MOST_PROJECTED:
        projected = ProjectedRidge.fit(vectors, rows, count, groups=groups)
        yield HeadKind.PROJECTED_RIDGE, projected, projected.left_out[some], projected.label_left_out[some]
    if pinned is HeadKind.NEIGHBORS:
        neighbors = Neighbors.fit(vectors, rows, count, groups)
        yield HeadKind.NEIGHBORS, neighbors, neighbors.left_out(some), neighbors.left_out(some, with_label=True)


def turns_of(rows: Rows, counts: Floats) -> Rows | None:
    """Returns groups of one example of every label, to leave out together: `(N,)`; None unless all have 2 to 7 shots.

    A regression prefers the labels with more examples. With few shots, one example less is enough: the error of 2 to 4
    shots with one example left out is 10 to 40 points too high on banking77, TREC and sign_digits. With one example of
    every label left out it is 3 to 12 points too high, which is what a shot less makes.

    Args:
        rows: `(N,)`, the columns of the examples' labels.
        counts: `(C,)`, the number of examples of each label.
    """
    if len(counts) < _FEWEST_LABELS or counts.min() < _FEWEST_SHOTS or counts.max() >= MIN_SHOTS_TO_COMPARE:
        return None
    order = np.argsort(rows, kind="stable")
    starts = np.cumsum(counts) - counts
    turns = np.empty(len(rows), np.intp)
    turns[order] = np.arange(len(rows)) - starts[rows[order]].astype(np.intp)
    return turns
