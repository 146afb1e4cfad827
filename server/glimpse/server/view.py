"""A collection as the server holds it in memory: a view of the ledger, kept up write by write."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot import PrototypeHead
from glimpse.fewshot.vectors import Array
from glimpse.index import FlatIndex, Ids
from glimpse.ledger import CollectionRecord, ExampleRecord, LabelRecord


@dataclass(frozen=True, slots=True)
class Neighbor:
    """An example near a query, and their cosine."""

    example_id: str
    label_id: str
    similarity: float


class CollectionView:
    """One collection's labels, head and index. For the event loop's thread alone, but for `index.search`."""

    def __init__(self, record: CollectionRecord) -> None:
        self.record = record
        self.labels: dict[str, LabelRecord] = {}
        self.head = PrototypeHead(record.dimension)
        self.index = FlatIndex(record.dimension)
        #: Held by whoever embeds the labels' names.
        self.naming = asyncio.Lock()
        # By sequence number, the ids of the vectors in the index: example id and label id.
        self._examples: dict[int, tuple[str, str]] = {}
        self._sequences: dict[str, int] = {}

    @property
    def example_count(self) -> int:
        """How many examples there are."""
        return len(self._examples)

    def has_example(self, example_id: str) -> bool:
        """Whether there is such an example."""
        return example_id in self._sequences

    def moved_to(self, revision: int) -> int:
        """Notes the revision of a change just applied, and returns it."""
        self.record = replace(self.record, revision=revision)
        return revision

    def put_record(self, record: CollectionRecord) -> None:
        """Takes on the collection's changed record."""
        if self.record.names_as_prompts and not record.names_as_prompts:
            for label in self.labels.values():
                if label.prompt_vector is None:
                    self.head.set_prompts(label.id, None)
        self.record = record

    def silent_labels(self) -> list[LabelRecord]:
        """The labels that cannot answer: with no example, no prompt, and a name that was not embedded."""
        if len(self.head.labels) == len(self.labels):
            return []
        return [label for label in self.labels.values() if not self.head.answers(label.id)]

    def name_label(self, label: LabelRecord, direction: Array) -> None:
        """Lets a label answer by the direction, (d,), of its name, if it is still what it was."""
        if self.labels.get(label.id) is label and self.record.names_as_prompts:
            self.head.set_prompts(label.id, direction)

    def put_label(self, label: LabelRecord) -> None:
        """Adds a label or replaces it with its changed self."""
        self.labels[label.id] = label
        vector = label.prompt_vector
        self.head.set_prompts(label.id, None if vector is None else np.frombuffer(vector, "<f4"))

    def drop_label(self, label_id: str) -> None:
        """Removes a label and its examples."""
        del self.labels[label_id]
        gone = [sequence for sequence, (_, label) in self._examples.items() if label == label_id]
        for sequence in gone:
            example_id, _ = self._examples.pop(sequence)
            del self._sequences[example_id]
        if gone:
            self.index.remove(gone)
        self.head.drop(label_id)

    def add_examples(self, examples: Sequence[ExampleRecord]) -> None:
        """Adds enrolled examples to head and index."""
        if not examples:
            return
        vectors = np.frombuffer(b"".join(example.vector for example in examples), "<f4")
        vectors = vectors.reshape(len(examples), -1)  # (n, d)
        for example, vector in zip(examples, vectors, strict=True):
            self.head.add(example.label_id, vector)
            self._examples[example.sequence] = (example.id, example.label_id)
            self._sequences[example.id] = example.sequence
        self.index.add([example.sequence for example in examples], vectors)

    def drop_example(self, example_id: str) -> None:
        """Takes an example out of head and index again, exactly."""
        sequence = self._sequences.pop(example_id)
        _, label_id = self._examples.pop(sequence)
        self.head.remove(label_id, self.index.vector(sequence))
        self.index.remove([sequence])

    def sequences_of(self, label_ids: Sequence[str]) -> Ids:
        """The sequence numbers of some labels' examples: (n,)."""
        wanted = set(label_ids)
        return np.array([sequence for sequence, (_, label) in self._examples.items() if label in wanted], np.int64)

    def named(self, similarities: Array, sequences: Ids) -> list[list[Neighbor]]:
        """What the index found, (n, k) each, as neighbours.

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
