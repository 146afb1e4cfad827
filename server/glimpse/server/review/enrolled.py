"""A sample of a collection's examples: chosen at once in the event loop, then read in a thread."""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.groups import References, choose_references
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, sample
from glimpse.index import Ids, LayeredIndex
from glimpse.server.collections.collection import CollectionView

# The most labels and examples of a label that are looked at, and the most examples that are taken.
_MAX_LABELS, _PER_LABEL, _MOST = 2_000, 20, 4_096


@dataclass(frozen=True, slots=True)
class EnrolledSample:
    """Examples with their labels.

    Attributes:
        index: Has their vectors.
        ids: Their ids, `(n,)`.
        references: The positions of their labels, and which are left out together.
    """

    index: LayeredIndex
    ids: Ids
    references: References

    @classmethod
    def of(cls, view: CollectionView, *, chosen: bool) -> "EnrolledSample":
        """Returns examples of labels that can answer.

        Args:
            view: The collection.
            chosen: Only those that say where to cut groups; otherwise a sample.
        """
        index = view.indexes.answering
        labels = [label for label in view.labels if view.index_of(label) is index]
        labels = [labels[place] for place in sample(len(labels), _MAX_LABELS)]
        by_label = [view.examples.ids_of_labels([label])[:_PER_LABEL] for label in labels]
        ids = np.concatenate([np.empty(0, np.int64), *by_label])
        rows = np.repeat(np.arange(len(labels)), [len(some) for some in by_label]).astype(np.intp)
        together = _together(view, ids)
        places = choose_references(rows, together) if chosen else sample(len(ids), _MOST)
        references = References(rows[places], None if together is None else together[places])
        return cls(index, ids[places], references)

    @property
    def labels(self) -> int:
        """The number of labels that they have."""
        return len(np.unique(self.references.rows))

    def read(self) -> Array:
        """Reads the vectors, `(n, d)`. Raises KeyError if an example was deleted since."""
        return self.index.vectors(self.ids)


def _together(view: CollectionView, ids: Ids) -> Rows | None:
    names = view.examples.groups(ids)
    if not any(names):
        return None
    numbers: dict[str | int, int] = {}
    keys: list[str | int] = [name or place for place, name in enumerate(names)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)
