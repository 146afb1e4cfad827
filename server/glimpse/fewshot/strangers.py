"""How well an input fits among a collection's examples: p-values against what the examples say of one another.

Two measures, neither of which dominates: the squared Mahalanobis distance to the nearest label's mean (Lee et al.
2018, on vectors of length 1), and the cosine to the nearest example (Sun et al. 2022). Each example is measured with
itself left out; an input's p-value is the part of the examples that fit no better (Vovk et al. 2005). The smaller of
the two is then measured against the smaller of the two of each example, so that p < a rejects a part a of what
belongs here however the measures hang together. In-sample measures would not do: for a target of 5 % they reject 8 to
99 %.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.moments import Floats
from glimpse.fewshot.vectors import Array

# Neighbours are sought for so many examples at once.
_CHUNK = 1_024


@dataclass(frozen=True, slots=True)
class Typicality:
    """The examples' own measures, left out one by one, each in ascending order: greater is stranger."""

    distances: Floats
    dissimilarities: Floats
    smaller: Floats

    @classmethod
    def of(cls, distances: npt.ArrayLike, similarities: npt.ArrayLike) -> "Typicality":
        """From what leaving out gives for each of N examples that are not the only ones of their labels."""
        far, unlike = np.asarray(distances, np.float64), -np.asarray(similarities, np.float64)
        ordered = np.sort(far), np.sort(unlike)
        # An example is among those it is ranked with; a new input is not.
        smaller = np.minimum(_rank(ordered[0], far, own=True), _rank(ordered[1], unlike, own=True))
        return cls(*ordered, np.sort(smaller))

    @property
    def count(self) -> int:
        """How many examples it stands on; p-values are never under 1 / (count + 1)."""
        return len(self.smaller)

    def p_values(self, distances: npt.ArrayLike, similarities: npt.ArrayLike) -> Floats:
        """The part of what belongs here that fits no better than each input: (n,), (n,) → (n,)."""
        far, unlike = np.asarray(distances, np.float64), -np.asarray(similarities, np.float64)
        smaller = np.minimum(_rank(self.distances, far), _rank(self.dissimilarities, unlike))
        return (1 + np.searchsorted(self.smaller, smaller, "right")) / (self.count + 1)


def _rank(ordered: Floats, values: Floats, *, own: bool = False) -> Floats:
    """(1 + how many of N others are at least as great) / (N + 1)."""
    others = len(ordered) - own
    return (1 + len(ordered) - np.searchsorted(ordered, values, "left") - own) / (others + 1)


def nearest_others(vectors: Array) -> Floats:
    """Each example's cosine to the nearest other one: (N, d) → (N,); -1 for an only one."""
    nearest = np.full(len(vectors), -1.0)
    for start in range(0, len(vectors), _CHUNK):
        cosines = vectors[start : start + _CHUNK] @ vectors.T
        cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -1.0
        nearest[start : start + _CHUNK] = cosines.max(1)
    return nearest
