"""The heads that are fitted to all examples at once rather than updated example by example."""

from collections.abc import Iterator

from glimpse.fewshot.heads.head_selection import MANY_SHOTS, MIN_SHOTS_TO_COMPARE, HeadKind, median_shots
from glimpse.fewshot.heads.joined_heads import JoinedHeads
from glimpse.fewshot.heads.kernel_ridge import MOST_EXAMPLES, KernelRidge
from glimpse.fewshot.heads.knn import Neighbors
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.heads.projected_ridge import ProjectedRidge
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: A head that is fitted to all examples at once.
BatchHead = JoinedHeads | KernelRidge | ProjectedRidge | Neighbors
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

    Yields:
        The kind, the head, and its scores of `some`, `(n, C)`, without each example and without its whole label.
    """
    counts = lda.moments.counts
    if not counts.all():  # a label with text alone could never win
        return
    count = len(counts)
    # A regression neglects labels of few examples, which leave-one-out rarely shows: most examples are of the others.
    compare = pinned is None and count > 0 and float(counts.min()) >= MIN_SHOTS_TO_COMPARE
    if (compare or pinned is HeadKind.KERNEL_RIDGE) and len(rows) <= MOST_EXAMPLES:
        kernel = KernelRidge.fit(vectors, rows, count, groups)
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
