"""Finds near copies among the examples of a label: frames of one video, resized or retouched pictures, edited texts.

Two examples of a label are near copies if their 1 - cosine is under a tenth of the median 1 - cosine between examples
of different labels. The median gives the scale of the embedding space, so the rule needs no cosine of its own. Near
copies of near copies belong to the same group.
"""

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample

# The part of the distance between labels under which two examples are near copies.
_PART = 0.1
# Examples whose cosines give the median, and examples per block.
_SAMPLE, _CHUNK = 500, 256


def find_groups(vectors: Array, rows: Rows, some: Rows, given: Rows | None = None) -> Rows | None:
    """Groups near copies, and what is given as a group.

    Args:
        vectors: `(N, d)`, unit rows.
        rows: `(N,)`, the examples' labels.
        some: `(n,)`, the examples whose near copies are searched among all.
        given: `(N,)`, groups that are known already, by equal numbers; None if there are none.

    Returns:
        `(N,)`, equal numbers for one group; None if every example is a group of its own.
    """
    parents = np.arange(len(rows))
    if given is not None:
        _, first, inverse = np.unique(given, return_index=True, return_inverse=True)
        parents = first[inverse]
    for one, other in _near_copies(vectors, rows, some):
        low, high = sorted((_root(parents, one), _root(parents, other)))
        parents[high] = low
    roots = np.array([_root(parents, place) for place in range(len(parents))], np.intp)
    return roots if len(np.unique(roots)) < len(roots) else None


def _root(parents: Rows, place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = int(parents[place])
    return place


def _near_copies(vectors: Array, rows: Rows, some: Rows) -> list[tuple[int, int]]:
    distance = _between_labels(vectors, rows)
    if distance is None:
        return []
    least = 1 - _PART * distance
    order = np.argsort(rows[some], kind="stable")
    pairs = []
    for part in np.split(some[order], np.flatnonzero(np.diff(rows[some[order]])) + 1):
        members = np.flatnonzero(rows == rows[part[0]]) if len(part) else part
        for start in range(0, len(part), _CHUNK):
            block = part[start : start + _CHUNK]
            near = np.argwhere(vectors[block] @ vectors[members].T > least)
            pairs += [(int(block[i]), int(members[j])) for i, j in near if block[i] != members[j]]
    return pairs


def _between_labels(vectors: Array, rows: Rows) -> float | None:
    """Returns the median 1 - cosine between examples of different labels; None with one label."""
    chosen = sample(len(rows), _SAMPLE)
    cosines: Floats = np.asarray(vectors[chosen] @ vectors[chosen].T, np.float64)
    different = rows[chosen, None] != rows[chosen]
    return float(np.median(1 - cosines[different])) if different.any() else None
