"""Chooses inputs for a cold start: which of many inputs without a label a person should see first.

- `diverse`, inputs that stand for the others: greedy coverage (Bae, Noh and Sutherland 2024).
- `typical`, a clear case of each kind: typicality, in turn by group (TypiClust: Hacohen, Dekel and Weinshall 2022).
- `Groups.outliers`, what is unlike the rest: isolation (Breunig et al. 2000; Schubert et al. 2014).
- `copy_sets`, what is there more than once: sets of near copies.
"""

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.groups.linkage import connected_parts
from glimpse.fewshot.review.ranking import rank_items
from glimpse.fewshot.statistics.groups import several_members
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


def diverse(vectors: Array, count: int) -> Rows:
    """Returns the inputs that cover all inputs best, the first one best alone: generalised coverage.

    It is the ranking of kept queries without uncertainty and without examples. A dense region comes before an outlier;
    k-center (Sener and Savarese 2018) takes outliers first, which taught less in docs/methods.md.

    Args:
        vectors: `(N, d)` float32, unit rows.
        count: how many to return, at most.
    """
    nothing = np.empty((0, vectors.shape[1]), np.float32)
    return rank_items(vectors, np.zeros(len(vectors)), nothing, 0, count)[:count]


def typicality(neighbors: npt.NDArray[np.int64], cosines: Array) -> Floats:
    """Returns the mean cosine of each input to its nearest neighbours, `(N,)`; -1 without neighbours.

    Args:
        neighbors: `(N, k)`, -1 where there is none.
        cosines: `(N, k)`.
    """
    present = neighbors >= 0
    sums = np.where(present, cosines, 0.0).sum(1, dtype=np.float64)
    return np.where(present.any(1), sums / np.maximum(present.sum(1), 1), -1.0)


def typical(numbers: Rows, typicalities: Floats, pairs: Rows, count: int) -> Rows:
    """Returns the most typical input of each group, the largest group first; then the second of each, and so on.

    Inputs that are like no other come after all groups, and near copies of earlier ones at the end.

    Args:
        numbers: `(N,)`, the group of each input; group 0 is the largest.
        typicalities: `(N,)`, of `typicality`.
        pairs: `(P, 2)`, near copies.
        count: how many to return, at most.
    """
    by_group = np.lexsort((-typicalities, numbers))
    starts = np.flatnonzero(np.diff(numbers[by_group], prepend=-1))
    sizes = np.diff(starts, append=len(by_group))
    turn = np.arange(len(by_group)) - np.repeat(starts, sizes)
    alone = np.repeat(sizes == 1, sizes)
    order = by_group[np.lexsort((numbers[by_group], turn, alone))]
    copies = _later_copies(order, pairs)[order]
    return np.concatenate([order[~copies], order[copies]])[:count]


def _later_copies(order: Rows, pairs: Rows) -> npt.NDArray[np.bool_]:
    """Returns which inputs are near copies of one that is earlier in the order and is itself no such copy, `(N,)`."""
    place = np.empty(len(order), np.intp)
    place[order] = np.arange(len(order))
    places = np.sort(place[pairs], 1)
    result = np.zeros(len(order), bool)  # by place
    # By the later place, so that the earlier one of a pair is decided before it is needed.
    for earlier, later in places[np.argsort(places[:, 1], kind="stable")].tolist():
        result[later] |= not result[earlier]
    return result[place]


def copy_sets(pairs: Rows, count: int) -> list[Rows]:
    """Joins pairs of near copies into sets: the connected components with two members or more, the largest first.

    Args:
        pairs: `(P, 2)`, positions of inputs.
        count: N, the number of inputs.

    Returns:
        The members of each set, ascending.
    """
    return sorted(several_members(connected_parts(pairs, count)), key=lambda members: (-len(members), int(members[0])))
