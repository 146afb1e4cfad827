"""The heads that are fitted as a whole rather than example by example."""

from collections.abc import Iterator

from glimpse.fewshot.heads.head_selection import MANY_SHOTS, MIN_SHOTS_TO_COMPARE, HeadKind, median_shots
from glimpse.fewshot.heads.kernel_ridge import MOST_EXAMPLES, KernelRidge
from glimpse.fewshot.heads.knn import Neighbors
from glimpse.fewshot.heads.projected_ridge import ProjectedRidge
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: What does not follow examples one by one, but is fitted to all of them.
BatchHead = KernelRidge | ProjectedRidge | Neighbors
# Projected ridge takes O(N) memory and time for each of its 2,000 features.
_MOST_PROJECTED = 50_000


def fit_batch_heads(
    vectors: Array, rows: Rows, moments: Moments, some: Rows, pinned: HeadKind | None
) -> Iterator[tuple[HeadKind, BatchHead, Array | Floats, Array | Floats]]:
    """Each head worth fitting to examples, (N, d) and (N,); and what it says of some of them, (n, C) twice.

    With each left out, and with its whole label left out.
    """
    count, shots = len(moments.labels), median_shots(moments.counts)
    if not moments.counts.all():  # labels that text alone stands for would never be an answer
        return
    compare = pinned is None and shots >= MIN_SHOTS_TO_COMPARE
    if (compare or pinned is HeadKind.KERNEL_RIDGE) and len(rows) <= MOST_EXAMPLES:
        kernel = KernelRidge.fit(vectors, rows, count)
        yield HeadKind.KERNEL_RIDGE, kernel, kernel.left_out[some], kernel.label_left_out[some]
    many = compare and shots >= MANY_SHOTS
    if (many or pinned is HeadKind.PROJECTED_RIDGE) and len(rows) <= _MOST_PROJECTED:
        projected = ProjectedRidge.fit(vectors, rows, count)
        yield HeadKind.PROJECTED_RIDGE, projected, projected.left_out[some], projected.label_left_out[some]
    if pinned is HeadKind.NEIGHBORS:
        neighbors = Neighbors.fit(vectors, rows, count)
        yield HeadKind.NEIGHBORS, neighbors, neighbors.left_out(some), neighbors.left_out(some, with_label=True)
