"""What a fit needs of a collection, taken at once where views change, to be read in a thread."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot import DomainVectors, Examples
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample
from glimpse.index import Ids, LayeredIndex
from glimpse.server.collections.collection import CollectionView

# A fit is of so many examples, and labels, at most: of a sample where there are more.
_MOST_EXAMPLES, _MOST_LABELS = 50_000, 5_000


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Vectors in an index by their ids, and their domains: one each, or none has."""

    index: LayeredIndex
    ids: Ids
    domains: Sequence[str]

    def strangers(self) -> DomainVectors:
        """Reads them. Raises KeyError where one was deleted meanwhile."""
        return DomainVectors(self.index.vectors(self.ids), self.domains)


@dataclass(frozen=True, slots=True)
class FitData:
    """A collection's examples as they were when it was taken."""

    #: Of Engine.begin.
    token: int
    #: Whether it is of all examples.
    whole: bool
    examples: StoredVectors
    rows: Rows
    labels: Sequence[str]
    texts: dict[str, Array | Floats]
    negatives: StoredVectors
    unlabeled: StoredVectors
    contents: Rows | None

    def read(self) -> Examples:
        """The vectors with what goes with them. Raises KeyError where one was deleted meanwhile."""
        return Examples(
            self.examples.index.vectors(self.examples.ids),
            self.rows,
            self.labels,
            self.texts,
            self.examples.domains,
            self.negatives.strangers(),
            self.unlabeled.strangers(),
            self.contents,
        )


def gather(view: CollectionView) -> FitData:
    """Takes it; the view's engine notes what changes from now on."""
    token = view.engine.begin()
    moments = view.engine.lda.moments
    # In the view's order: that of the engine's rows tells what was deleted, and a sample must not.
    labels, whole = [label for label in view.labels if view.engine.can_score(label)], True
    if len(labels) > _MOST_LABELS and not view.engine.lda.dense:
        labels, whole = [labels[place] for place in sample(len(labels), _MOST_LABELS)], False
    ids, rows = _sequences(view, labels)
    if len(ids) > _MOST_EXAMPLES and not view.engine.adapted:
        some = sample(len(ids), _MOST_EXAMPLES)
        ids, rows, whole = ids[some], rows[some], False
        labels, rows = _shown(labels, rows, moments.texts)
    order = np.argsort(ids, kind="stable")  # of enrolment; of a sample alone, where there are very many
    ids, rows = ids[order], rows[order]
    return FitData(
        token,
        whole,
        # A sample's fit leaves vectors as the engine sees them.
        StoredVectors(view.indexes.answering, ids, view.examples.domains(ids) if whole else ()),
        rows,
        labels,
        {label: moments.texts[label] for label in labels if label in moments.texts},
        _of_role(view, view.indexes.negatives),
        _of_role(view, view.indexes.unlabeled),
        _contents(view, ids),
    )


def _sequences(view: CollectionView, labels: Sequence[str]) -> tuple[Ids, Rows]:
    """The examples of labels, one label after the other, and their labels' places."""
    ids = [view.examples.of_labels([label]) for label in labels]
    rows = np.repeat(np.arange(len(labels)), [len(some) for some in ids])
    flat = np.concatenate([*ids, np.empty(0, np.int64)])
    return flat, rows.astype(np.intp)


def _shown(labels: Sequence[str], rows: Rows, texts: Container[str]) -> tuple[list[str], Rows]:
    """The labels with examples or text, and the examples' places among them."""
    counts = np.bincount(rows, minlength=len(labels))
    there = np.array([count > 0 or label in texts for label, count in zip(labels, counts, strict=True)])
    return [label for label, kept in zip(labels, there, strict=True) if kept], (np.cumsum(there) - 1)[rows]


def _of_role(view: CollectionView, index: LayeredIndex) -> StoredVectors:
    if not len(index):
        return StoredVectors(index, np.empty(0, np.int64), ())
    labels = [label for label in view.labels if view.index_of(label) is index]
    ids = np.sort(view.examples.of_labels(labels)[:_MOST_EXAMPLES])
    return StoredVectors(index, ids, view.examples.domains(ids))


def _contents(view: CollectionView, ids: Ids) -> Rows | None:
    if not view.independent:
        return None
    numbers: dict[int, int] = {}
    found = [numbers.setdefault(content, len(numbers)) for content in view.examples.contents(ids)]
    return np.array(found, np.intp)
