"""The examples that a collection is fitted to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


@dataclass(frozen=True, slots=True)
class DomainVectors:
    """Vectors without a label that can score, with their domains.

    Attributes:
        vectors: `(M, d)` float32, unit rows.
        domains: M domain names; empty if no vector has one.
    """

    vectors: Array
    domains: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Examples:
    """The labelled examples of a collection, and the vectors that come with them.

    Attributes:
        vectors: `(N, d)` float32, unit rows.
        rows: `(N,)`, each example's position in `labels`.
        labels: every label with an example or a text.
        texts: label → direction of its prompts, `(d,)`.
        domains: N domain names, "" for none; empty if no example has one.
        negatives: enrolled negative examples ("none of these").
        unlabeled: vectors whose label is unknown; they shape the domain statistics, and how well inputs must fit while
            prompts alone answer.
        contents: `(N,)`, equal numbers mark the same content under several labels; None if every content is distinct.
        groups: `(N,)`, equal numbers mark examples that are left out together, such as frames of a clip; None if there
            are no such groups. Near copies are found by the fit and need no number.
        dimension: the dimension of the embedding space if all vectors are coordinates in a subspace of it, else None.
        adapt_to_unlabeled: True if `unlabeled` has about the labels of the examples in the same parts, so that examples
            of one domain may be adapted to it.
        are_attributes: whether labels are composed of these, which are then attributes of the inputs.
    """

    vectors: Array
    rows: Rows
    labels: Sequence[str]
    texts: Mapping[str, Array | Floats] = field(default_factory=dict)
    domains: Sequence[str] = ()
    negatives: DomainVectors | None = None
    unlabeled: DomainVectors | None = None
    contents: Rows | None = None
    groups: Rows | None = None
    dimension: int | None = None
    adapt_to_unlabeled: bool = False
    are_attributes: bool = False

    @property
    def unlabeled_vectors(self) -> Array:
        """The vectors whose label is unknown, `(U, d)`."""
        return np.empty((0, self.vectors.shape[1]), np.float32) if self.unlabeled is None else self.unlabeled.vectors

    @property
    def negative_vectors(self) -> Array:
        """The vectors of the negative examples, `(M, d)`."""
        return np.empty((0, self.vectors.shape[1]), np.float32) if self.negatives is None else self.negatives.vectors
