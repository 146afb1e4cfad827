"""The classes that colour the points of a map: labels, domains, or decisions."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from glimpse.console.maps.cache import Map
from glimpse.console.maps.fit import NOT_MEASURED


class Coloring(StrEnum):
    """The meaning of the colours."""

    LABEL = "Label"
    DOMAIN = "Domain"
    DECISION = "Decision"


DECISIONS = ("Its own label", "Another label", "Not measured")


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


def classes_of(made: Map, coloring: Coloring) -> Classes:
    """Divides the points of a map by label, by domain or by decision.

    The decision is that of the nearest label mean while the example is left out.
    """
    layout = made.layout
    if coloring is Coloring.LABEL:
        return _classes(layout.codes, layout.labels)
    if coloring is Coloring.DOMAIN:
        names, codes = np.unique(np.array(made.domains, dtype=object), return_inverse=True)
        return _classes(codes.astype(np.int32), tuple(names))
    wrong = layout.fit.nearest != layout.codes
    return _classes(np.where(layout.fit.nearest == NOT_MEASURED, 2, wrong).astype(np.int32), DECISIONS)


def _classes(codes: NDArray[np.int32], names: tuple[str, ...]) -> Classes:
    return Classes(codes, names, tuple(np.bincount(codes, minlength=len(names)).tolist()))
