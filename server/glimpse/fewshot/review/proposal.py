"""Proposes what to name at once: parts of groups, a label for a group, and names for a new one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.decision import Decision
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.fewshot.types import Prediction

# Members of a group that are enrolled together. More of them leave labels with many examples beside labels with one.
_PART = 2
# A probability is at least this, so that one member cannot rule a label out by rounding.
_LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Proposal:
    """The label that fits a group best.

    Attributes:
        label: the label.
        probability: the probability that it is the label of the group, if the group has one of the known labels.
        unknown: the part of the members that are UNKNOWN. From 1/2 on, a new label is likely.
    """

    label: str
    probability: float
    unknown: float


def propose_label(predictions: Sequence[Prediction], labels: int) -> Proposal | None:
    """Proposes the label with the greatest mean log-probability over the members of a group.

        p(c | group) ∝ exp(mean_i log p(c | x_i))

    The members of a group are alike and err together, so they count as one query and not as independent ones: a
    logarithmic opinion pool whose weights sum to 1 (Genest and Zidek 1986). A label that is not among the best ones
    of a member has an equal part of the probability that they leave.

    Args:
        predictions: the predictions for the members, each with its best labels.
        labels: the number of labels that can score, C.

    Returns:
        The proposal; None if no label can score.
    """
    candidates = sorted({label for prediction in predictions for label in prediction.labels})
    if not candidates:
        return None
    sums = dict.fromkeys(candidates, 0.0)
    others = 0.0
    for prediction in predictions:
        known = dict(zip(prediction.labels, prediction.probabilities, strict=True))
        left = (1 - math.fsum(known.values())) / max(1, labels - len(known))
        others += math.log(max(left, _LEAST))
        for label in candidates:
            sums[label] += math.log(max(known.get(label, left), _LEAST))
    means = {label: math.exp(total / len(predictions)) for label, total in sums.items()}
    total = math.fsum(means.values()) + (labels - len(candidates)) * math.exp(others / len(predictions))
    best = max(candidates, key=lambda label: means[label])
    unknown = sum(prediction.decision is Decision.UNKNOWN for prediction in predictions) / len(predictions)
    return Proposal(best, means[best] / total, unknown)


def propose_names(members: Array, names: Array, most: int) -> tuple[Rows, Array]:
    """Proposes the names that are nearest to the mean of a group.

    Args:
        members: `(n, d)`, unit rows.
        names: `(V, d)`, unit rows: the vectors of a vocabulary.
        most: how many to return, at most.

    Returns:
        Positions in the vocabulary and their cosines, `(m,)` each, the nearest first.
    """
    mean = members.mean(0)
    cosines = names @ (mean / max(float(np.linalg.norm(mean)), 1e-12))
    best = np.argsort(-cosines, kind="stable")[:most]
    return best, np.asarray(cosines[best], np.float32)


def join_ranked(ranked: Rows, kinds: Rows, most: int = _PART) -> list[Rows]:
    """Joins ranked queries that probably have one label, so that one answer names them.

    A query is joined by the next ones of its kind in the ranking. Each of them was to be asked soon, so the answers are
    not wasted if they turn out to have two labels; the nearest member of a group teaches less. docs/methods.md has the
    figures. Pass only the first queries of a ranking: the last of a long one would come early beside a first one.

    Args:
        ranked: `(n,)`, positions of queries, the first to review first.
        kinds: `(N,)`, equal numbers for queries of one group that have the same best label.
        most: how many to join, at most.

    Returns:
        Positions in parts of one or more, in the order of their first queries.
    """
    parts: list[list[int]] = []
    unfilled: dict[int, list[int]] = {}
    for row, kind in zip(ranked.tolist(), kinds[ranked].tolist(), strict=True):
        part = unfilled.get(kind)
        if part is None or len(part) == most:
            part = unfilled[kind] = []
            parts.append(part)
        part.append(row)
    return [np.array(part, np.intp) for part in parts]
