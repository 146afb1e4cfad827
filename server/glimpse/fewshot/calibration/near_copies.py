"""Finds near copies among the examples of a label: frames of one video, resized or retouched pictures, edited texts.

Two examples of a label are near copies if their 1 - cosine is under a tenth of what lies between labels: the median,
over the examples, of the 1 - cosine to the nearest example of another label. That gives the scale at which labels
differ in the embedding space, so the rule needs no cosine of its own. The median over all pairs of labels would not do:
among many labels most are far apart, and with it 58 % of drawings of Omniglot's characters by different people, and 11
% of banking77's questions, count as copies; now 3 % do. Near copies of near copies belong to the same group, as the
frames of a video do, unless the group then holds more unlike examples than near copies. Such a chain of neighbours is
divided by half the distance, and again, until most pairs of a group are near copies, or each has a neighbour at 1/64 of
the distance.

A label whose inputs are all alike and far from other labels, such as one part under a fixed camera, looks like copies
of one input, and is taken for copies.
"""

from collections.abc import Iterator

import numpy as np

from glimpse.fewshot.statistics.groups import several_members
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, sample

# The part of the distance between labels under which two examples are near copies.
_PART = 0.1
# Examples whose nearest ones give the median, examples to search among; examples, and at most cosines, per block.
_SAMPLE, _OTHERS, _CHUNK, _COSINES = 500, 4_000, 256, 1 << 24
# Chains are divided down to this part of that distance.
_NARROWEST = 1 / 64


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
    distance = _between_labels(vectors, rows)
    if distance is not None:
        for row in np.unique(rows[some]):
            members = np.flatnonzero(rows == row)
            searched = np.searchsorted(members, some[rows[some] == row])
            for group in _copies(vectors[members], searched, _PART * distance, _PART * distance):
                roots = sorted({_root(parents, place) for place in members[group].tolist()})
                parents[roots] = roots[0]
    result = np.array([_root(parents, place) for place in range(len(parents))], np.intp)
    return result if len(np.unique(result)) < len(result) else None


def _root(parents: Rows, place: int) -> int:
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = int(parents[place])
    return place


def _copies(vectors: Array, searched: Rows, under: float, least: float) -> Iterator[Rows]:
    """Yields groups of examples of one label that are connected by distances `under`, divided where that is needed.

    Args:
        vectors: `(m, d)`, the label's examples.
        searched: `(s,)`, those whose near copies are searched among all.
        under: the greatest distance of two that are connected.
        least: the distance under which two are near copies.
    """
    for group in several_members(_connected(vectors, searched, under)):
        if under < least * _NARROWEST or _mostly_copies(vectors[group], least):
            yield group
        else:
            inside = np.flatnonzero(np.isin(group, searched))
            for part in _copies(vectors[group], inside, under / 2, least):
                yield group[part]


def _connected(vectors: Array, searched: Rows, under: float) -> Rows:
    """Returns equal numbers for examples that are connected: vectors `(m, d)`, searched `(s,)` → `(m,)`. O(s m d)."""
    result, merged = np.arange(len(vectors)), np.zeros(len(vectors), np.bool_)
    chunk = max(1, min(_CHUNK, _COSINES // len(vectors)))
    for start in range(0, len(searched), chunk):
        some = searched[start : start + chunk]
        near = 1 - vectors[some] @ vectors.T < under
        for place, row in zip(some.tolist(), near, strict=True):
            row[place] = True
            numbers = result[row]
            if (numbers != numbers[0]).any():
                merged[numbers] = True
                result[merged[result]] = numbers.min()
                merged[numbers] = False
    return result


def _mostly_copies(vectors: Array, least: float) -> bool:
    some = vectors[sample(len(vectors), _SAMPLE)]
    distances = 1 - some @ some.T
    return bool(np.median(distances[np.triu_indices(len(some), 1)]) < least)


def _between_labels(vectors: Array, rows: Rows) -> float | None:
    """Returns the median 1 - cosine of an example to the nearest one of another label; None with one label.

    Copies with another label, which contradict each other or have both labels, are not counted.
    """
    chosen, others = sample(len(rows), _SAMPLE), sample(len(rows), _OTHERS)
    gaps, different = 1 - vectors[chosen] @ vectors[others].T, rows[chosen, None] != rows[others]
    if not different.any():
        return None
    different &= gaps >= _PART * np.median(gaps[different])
    nearest = np.where(different, gaps, np.inf).min(1)
    return float(np.median(nearest[np.isfinite(nearest)]))
