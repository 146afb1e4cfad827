"""The data of a fit: collected at once in the event loop, then read in a thread."""

from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot import DomainVectors, Examples
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample
from glimpse.index import Ids, LayeredIndex
from glimpse.server.collections.collection import CollectionView

# The most examples and labels of a fit; it takes a sample if there are more.
_MAX_EXAMPLES, _MAX_LABELS = 50_000, 5_000


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """Vectors in an index by their ids, with one domain for each, or no domains."""

    index: LayeredIndex
    ids: Ids
    domains: Sequence[str]

    def read(self) -> DomainVectors:
        """Reads the vectors. Raises KeyError if one has been deleted."""
        return DomainVectors(self.index.vectors(self.ids), self.domains)


@dataclass(frozen=True, slots=True)
class FitData:
    """A collection's examples as of the moment when they were collected.

    Attributes:
        token: The result of the classifier's `begin`.
        whole: False if the data is a sample.
        examples: The examples of labels that can answer, in order of enrolment.
        rows: The position of each example's label in `labels`, `(n,)`.
        labels: The labels that can answer.
        texts: The directions of prompts by label, `(d,)` each.
        negatives: The negative examples.
        unlabeled: The examples without a label.
        contents: A number for each example's content, equal for equal contents, `(n,)`; None unless labels are
            independent.
        groups: A number for each example, equal for examples of one group, `(n,)`; None if no example is in a group.
        adapt_to_unlabeled: The collection's setting.
        are_attributes: Whether labels are composed of the labels.
    """

    token: int
    whole: bool
    examples: StoredVectors
    rows: Rows
    labels: Sequence[str]
    texts: dict[str, Array | Floats]
    negatives: StoredVectors
    unlabeled: StoredVectors
    contents: Rows | None
    groups: Rows | None
    adapt_to_unlabeled: bool
    are_attributes: bool

    def read(self) -> Examples:
        """Reads the vectors from the indexes. Raises KeyError if one has been deleted."""
        return Examples(
            self.examples.index.vectors(self.examples.ids),
            self.rows,
            self.labels,
            self.texts,
            self.examples.domains,
            self.negatives.read(),
            self.unlabeled.read(),
            self.contents,
            self.groups,
            adapt_to_unlabeled=self.adapt_to_unlabeled,
            are_attributes=self.are_attributes,
        )


def gather(view: CollectionView) -> FitData:
    """Collects the data of a fit; from then on, the view's classifier records what changes."""
    token = view.classifier.begin()
    moments = view.classifier.lda.moments
    # Keep the view's order: the classifier's row order reveals deletions, which would bias a sample.
    labels, whole = [label for label in view.labels if view.classifier.can_score(label)], True
    if len(labels) > _MAX_LABELS and not view.classifier.lda.dense:
        labels, whole = [labels[place] for place in sample(len(labels), _MAX_LABELS)], False
    ids, rows = _ids_and_rows(view, labels)
    if len(ids) > _MAX_EXAMPLES and not view.classifier.adapted:
        chosen = sample(len(ids), _MAX_EXAMPLES)
        ids, rows, whole = ids[chosen], rows[chosen], False
        labels, rows = _used_labels(labels, rows, moments.texts)
    order = np.argsort(ids, kind="stable")  # ids ascend in order of enrolment
    ids, rows = ids[order], rows[order]
    return FitData(
        token,
        whole,
        # The fit of a sample does not adapt to domains.
        StoredVectors(view.indexes.answering, ids, view.examples.domains(ids) if whole else ()),
        rows,
        labels,
        {label: moments.texts[label] for label in labels if label in moments.texts},
        _of_role(view, view.indexes.negatives),
        _of_role(view, view.indexes.unlabeled),
        _contents(view, ids),
        _groups(view, ids),
        view.record.adapt_to_unlabeled,
        view.composed.exist,
    )


def _ids_and_rows(view: CollectionView, labels: Sequence[str]) -> tuple[Ids, Rows]:
    """Returns the ids of the labels' examples, label by label, and the position of each one's label."""
    ids = [view.examples.ids_of_labels([label]) for label in labels]
    rows = np.repeat(np.arange(len(labels)), [len(label_ids) for label_ids in ids])
    return np.concatenate([*ids, np.empty(0, np.int64)]), rows.astype(np.intp)


def _used_labels(labels: Sequence[str], rows: Rows, texts: Container[str]) -> tuple[list[str], Rows]:
    """Returns the labels that have examples or prompts, and the examples' positions among them."""
    counts = np.bincount(rows, minlength=len(labels))
    used = np.array([count > 0 or label in texts for label, count in zip(labels, counts, strict=True)])
    return [label for label, keep in zip(labels, used, strict=True) if keep], (np.cumsum(used) - 1)[rows]


def _of_role(view: CollectionView, index: LayeredIndex) -> StoredVectors:
    if not len(index):
        return StoredVectors(index, np.empty(0, np.int64), ())
    labels = [label for label in view.labels if view.index_of(label) is index]
    ids = np.sort(view.examples.ids_of_labels(labels)[:_MAX_EXAMPLES])
    return StoredVectors(index, ids, view.examples.domains(ids))


def _contents(view: CollectionView, ids: Ids) -> Rows | None:
    if not view.independent:
        return None
    numbers: dict[int, int] = {}
    contents = [numbers.setdefault(key, len(numbers)) for key in view.examples.content_keys(ids)]
    return np.array(contents, np.intp)


def _groups(view: CollectionView, ids: Ids) -> Rows | None:
    """Returns a number for each example, `(n,)`; examples in no group have numbers of their own."""
    names = view.examples.groups(ids)
    if not any(names):
        return None
    numbers: dict[str | int, int] = {}
    keys: list[str | int] = [name or place for place, name in enumerate(names)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)
