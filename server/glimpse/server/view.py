"""A collection as the server holds it in memory: a view of the ledger, kept up write by write."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot import Engine
from glimpse.fewshot.vectors import Array
from glimpse.index import FlatIndex, Ids
from glimpse.ledger import CollectionRecord, ExampleRecord, LabelRecord
from glimpse.server.gallery import Gallery
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2


@dataclass(frozen=True, slots=True)
class Neighbor:
    """An example near a query, and their cosine."""

    example_id: str
    label_id: str
    similarity: float


class CollectionView:
    """One collection's labels, engine and indexes. For the event loop's thread alone, but for searches."""

    def __init__(self, record: CollectionRecord, changed: Callable[["CollectionView"], None]) -> None:
        """`changed` is told of what a fit of the examples would see."""
        self.record = record
        self.labels: dict[str, LabelRecord] = {}
        self.engine = Engine(record.dimension)
        #: Of the examples of labels that can answer, of known strangers, and of vectors whose labels nobody told.
        self.index = FlatIndex(record.dimension)
        self.negatives = FlatIndex(record.dimension)
        self.unlabeled = FlatIndex(record.dimension)
        #: Of labels, where they are very many.
        self.gallery = Gallery()
        #: The examples that `engine.fitted` is of, in its order, and the revision.
        self.fitted_ids: Ids = np.empty(0, np.int64)
        self.fitted_revision = 0
        #: Held by whoever embeds the labels' names.
        self.naming = asyncio.Lock()
        self._changed = changed
        # By sequence number, the ids of the vectors in the indexes: example id and label id.
        self._examples: dict[int, tuple[str, str]] = {}
        self._sequences: dict[str, int] = {}
        self._of_label: dict[str, list[int]] = {}
        # Of the examples that have one; and what the same content is known by, where labels are independent.
        self.domains: dict[int, str] = {}
        self.contents: dict[int, str] = {}

    @property
    def example_count(self) -> int:
        """How many examples there are."""
        return len(self._examples)

    @property
    def independent(self) -> bool:
        """Whether any number of labels may be right."""
        return self.record.label_mode == types_pb2.LABEL_MODE_INDEPENDENT

    @property
    def accuracy(self) -> float | None:
        """Leave-one-out accuracy of the head chosen, when the examples were last fitted; None: not measured."""
        judged = self.engine.chosen_judged
        return judged.accuracy if judged and judged.count else None

    def has_example(self, example_id: str) -> bool:
        """Whether there is such an example."""
        return example_id in self._sequences

    def count(self, label_id: str) -> int:
        """How many examples a label has."""
        return len(self._of_label.get(label_id, ()))

    def moved_to(self, revision: int) -> int:
        """Notes the revision of a change just applied, and returns it."""
        self.record = replace(self.record, revision=revision)
        return revision

    def put_record(self, record: CollectionRecord) -> None:
        """Takes on the collection's changed record."""
        if self.record.names_as_prompts and not record.names_as_prompts:
            named = [one.id for one in self.labels.values() if one.prompt_vector is None and can_answer(one)]
            self.engine.forget_texts(named)
            self.gallery.put(self.engine, named)
        if record.pinned_head != self.record.pinned_head:
            self.engine.outdate()
        self.record = record
        self._changed(self)

    def unnamed_labels(self) -> list[LabelRecord]:
        """The labels that can answer, but have neither prompts nor a name that was embedded."""
        texts = self.engine.lda.moments.texts
        if len(texts) == len(self.labels):
            return []
        return [one for one in self.labels.values() if can_answer(one) and one.id not in texts]

    def name_label(self, label: LabelRecord, direction: Array) -> None:
        """Lets a label answer by the direction, (d,), of its name, if it is still what it was."""
        if self.labels.get(label.id) is label and self.record.names_as_prompts:
            self._set_text(label.id, direction)

    def _set_text(self, label_id: str, direction: Array | None) -> None:
        self.engine.set_text(label_id, direction)
        self.gallery.put(self.engine, [label_id])
        self._changed(self)

    def put_label(self, label: LabelRecord) -> None:
        """Adds a label or replaces it with its changed self."""
        self.labels[label.id] = label
        vector = label.prompt_vector
        if can_answer(label) and (vector is not None or self.engine.answers(label.id)):
            self._set_text(label.id, None if vector is None else np.frombuffer(vector, "<f4"))

    def drop_label(self, label_id: str) -> None:
        """Removes a label and its examples."""
        index = self.index_of(label_id)
        label = self.labels.pop(label_id)
        gone = self._of_label.pop(label_id, [])
        for sequence in gone:
            self._forget(sequence)
        if gone:
            index.remove(gone)
        if can_answer(label):
            self.engine.drop(label_id)
            self.gallery.drop(label_id)
        else:
            self.engine.outdate()
        self._changed(self)

    def add_examples(self, examples: Sequence[ExampleRecord]) -> None:
        """Adds enrolled examples."""
        by_index: dict[int, list[ExampleRecord]] = {}
        for example in examples:
            by_index.setdefault(id(self.index_of(example.label_id)), []).append(example)
            self._note(example)
        for several in by_index.values():
            index = self.index_of(several[0].label_id)
            vectors = np.frombuffer(b"".join(example.vector for example in several), "<f4").reshape(len(several), -1)
            index.add([example.sequence for example in several], vectors)
            if index is self.index:
                labels = [example.label_id for example in several]
                self.engine.add(labels, vectors, [example.domain for example in several])
                self.gallery.put(self.engine, labels)
            else:
                self.engine.outdate()
        if examples:
            self._changed(self)

    def _note(self, example: ExampleRecord) -> None:
        self._examples[example.sequence] = (example.id, example.label_id)
        self._sequences[example.id] = example.sequence
        self._of_label.setdefault(example.label_id, []).append(example.sequence)
        if example.domain:
            self.domains[example.sequence] = example.domain
        if self.independent:
            self.contents[example.sequence] = example.content_digest

    def _forget(self, sequence: int) -> str:
        """All that is known of an example but that its label has it; returns the label's id."""
        example_id, label_id = self._examples.pop(sequence)
        del self._sequences[example_id]
        self.domains.pop(sequence, None)
        self.contents.pop(sequence, None)
        return label_id

    def drop_example(self, example_id: str) -> None:
        """Takes an example out again, exactly."""
        sequence = self._sequences[example_id]
        domain = self.domains.get(sequence, "")
        label_id = self._forget(sequence)
        self._of_label[label_id].remove(sequence)
        index = self.index_of(label_id)
        if index is self.index:
            self.engine.remove(label_id, index.vector(sequence), domain)
            self.gallery.put(self.engine, [label_id])
        else:
            self.engine.outdate()
        index.remove([sequence])
        self._changed(self)

    def index_of(self, label_id: str) -> FlatIndex:
        """Where the vectors of a label's examples are."""
        match self.labels[label_id].role:
            case pb.LABEL_ROLE_NEGATIVE:
                return self.negatives
            case pb.LABEL_ROLE_UNLABELED:
                return self.unlabeled
        return self.index

    def example_of(self, sequence: int) -> tuple[str, str] | None:
        """The id of an example and its label's; None where it was deleted."""
        return self._examples.get(sequence)

    def sequences_of(self, label_ids: Sequence[str]) -> Ids:
        """The sequence numbers of some labels' examples: (n,)."""
        found = [sequence for label in dict.fromkeys(label_ids) for sequence in self._of_label.get(label, ())]
        return np.array(found, np.int64)

    def named(self, similarities: Array, sequences: Ids) -> list[list[Neighbor]]:
        """What an index found, (n, k) each, as neighbours.

        An example deleted while a thread was searching is left out; so is -1, "no more".
        """
        return [
            [
                Neighbor(*example, similarity)
                for sequence, similarity in zip(ids, cosines, strict=True)
                if (example := self._examples.get(sequence))
            ]
            for ids, cosines in zip(sequences.tolist(), similarities.tolist(), strict=True)
        ]


def can_answer(label: LabelRecord) -> bool:
    """Whether a label is one of those that inputs are told apart by."""
    return label.role not in (pb.LABEL_ROLE_NEGATIVE, pb.LABEL_ROLE_UNLABELED)
