"""What a collection is fitted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


@dataclass(frozen=True, slots=True)
class DomainVectors:
    """Vectors of no label that can answer, (M, d), and their domains: one each, or none has."""

    vectors: Array
    domains: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples, (N, d), with the places of their labels among those that can answer, (N,); and what goes with them."""

    vectors: Array
    rows: Rows
    #: All labels with examples or text.
    labels: Sequence[str]
    texts: Mapping[str, Array | Floats] = field(default_factory=dict)
    #: One a vector, "" where it has none; empty: none has.
    domains: Sequence[str] = ()
    #: Known strangers, and vectors whose labels nobody told.
    negatives: DomainVectors | None = None
    unlabeled: DomainVectors | None = None
    #: Equal numbers: the same content under several labels, (N,). None: each by itself.
    contents: Rows | None = None

    @property
    def negative_vectors(self) -> Array:
        """The negatives' vectors, (M, d)."""
        return np.empty((0, self.vectors.shape[1]), np.float32) if self.negatives is None else self.negatives.vectors
