"""The classes that colour the points of a map: labels, domains, or decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from glimpse.client import Decision, LeftOutExample
from glimpse.console.maps.cache import Map


class Coloring(StrEnum):
    """The meaning of the colours."""

    LABEL = "Label"
    DOMAIN = "Domain"
    DECISION = "Decision"


DECISIONS = ("Match, its own label", "Match, another label", "Ambiguous", "Unknown", "Not measured")
_OTHERS = {Decision.AMBIGUOUS: 2, Decision.UNKNOWN: 3}
_NOT_MEASURED = 4


@dataclass(frozen=True, slots=True)
class Classes:
    """A division of the n points of a map.

    Attributes:
        codes: The class of each point, of shape `(n,)`, as a position in `names`.
        names: The names of the classes. Empty: the points have no label or no domain.
        counts: The number of points of each class.
    """

    codes: NDArray[np.int32]
    names: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def largest(self) -> list[int]:
        """The positions of the classes, those with most points first."""
        return sorted(range(len(self.names)), key=lambda code: (-self.counts[code], self.names[code]))


def classes_of(made: Map, coloring: Coloring, left_out: Mapping[str, LeftOutExample]) -> Classes:
    """Divides the points of a map by label, by domain or by decision.

    Args:
        made: The map.
        coloring: The meaning of the classes.
        left_out: The answers to the examples while they are left out, by their names. Decisions rest on them.
    """
    layout = made.layout
    if coloring is Coloring.LABEL:
        return _classes(layout.codes, layout.labels)
    if coloring is Coloring.DOMAIN:
        names, codes = np.unique(np.array(made.domains, dtype=object), return_inverse=True)
        return _classes(codes.astype(np.int32), tuple(names))
    decided = [_NOT_MEASURED if one is None else _decision(one) for one in map(left_out.get, made.names)]
    return _classes(np.array(decided, np.int32), DECISIONS)


def _decision(one: LeftOutExample) -> int:
    """Returns the position of an answer in DECISIONS. Independent labels have no decision, and count as a match."""
    return _OTHERS.get(one.decision, int(one.answered_label != one.label))


def _classes(codes: NDArray[np.int32], names: tuple[str, ...]) -> Classes:
    return Classes(codes, names, tuple(np.bincount(codes, minlength=len(names)).tolist()))
