"""A collection as the server holds it in memory: a view of the ledger, kept up write by write."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot import FewShotClassifier
from glimpse.fewshot.statistics.unit_vectors import Array, Floats
from glimpse.index import Ids, LayeredIndex
from glimpse.ledger import CollectionRecord, ExampleRecord, LabelRecord, ReembeddingRecord
from glimpse.server.collections.attached_index import Attachment
from glimpse.server.collections.example_columns import ExampleColumns
from glimpse.server.collections.example_store import ExampleStore
from glimpse.server.collections.label_index import LabelIndex
from glimpse.server.collections.role_indexes import RoleIndexes
from glimpse.server.errors import RequestError
from glimpse.server.resource_names import MAX_LABEL, normal
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2

# Examples at a time: it bounds the copy.
_LEARNED = 50_000


@dataclass(slots=True, eq=False)
class ReembeddingProgress:
    """Up to where a shadow's examples are embedded: those up to a sequence number need no look.

    Another takes its place where earlier ones are to be looked at again. So what an embedder notes in the one that it
    began with, after that, says nothing.
    """

    until: int = 0


@dataclass(slots=True, eq=False)
class ReembeddingReport:
    """What a shadow's figures are, as of a revision; until they are made, the shadow as a view that nobody sees."""

    revision: int
    hidden: "CollectionView | None"
    figures: pb.GetCollectionReportResponse | None = None


class CollectionView:
    """One collection's labels, engine and indexes. For the event loop's thread alone, but for searches."""

    def __init__(self, record: CollectionRecord, changed: Callable[["CollectionView"], None] = lambda _: None) -> None:
        """`changed` is told of what a fit of the examples would see."""
        self.record = record
        self.labels: dict[str, LabelRecord] = {}
        #: The ids that are not in their normal form, as older servers took them, by that form.
        self._respelled: dict[str, str] = {}
        self.engine = FewShotClassifier(record.dimension)
        self.indexes = RoleIndexes(record.dimension)
        self.examples = ExampleStore(contents=self.independent)
        #: Why the index below cannot be had, where that is so, and its name: then nothing can be answered.
        self.problem: RequestError | None = None
        self.lost_index = ""
        #: The other side of one whose backbone changes, how far its examples are embedded for that, and what was
        #: measured of it.
        self.shadow: ReembeddingRecord | None = None
        self.reached = ReembeddingProgress()
        self.measured: ReembeddingReport | None = None
        #: Of labels, where they are very many.
        self.gallery = LabelIndex()
        #: The examples that `engine.fitted` is of, in its order, and the revision.
        self.fitted_ids: Ids = np.empty(0, np.int64)
        self.fitted_revision = 0
        #: Held by whoever embeds the labels' names.
        self.naming = asyncio.Lock()
        self._changed = changed

    @property
    def independent(self) -> bool:
        """Whether any number of labels may be right."""
        return self.record.label_mode == types_pb2.LABEL_MODE_INDEPENDENT

    @property
    def accuracy(self) -> float | None:
        """Leave-one-out accuracy of the head chosen, when the examples were last fitted; None: not measured."""
        judged = self.engine.chosen_evaluation
        return judged.accuracy if judged and judged.count else None

    def watch(self, changed: Callable[["CollectionView"], None]) -> None:
        """Tells `changed` from now on, and of what is there already."""
        self._changed = changed
        if self.labels:
            changed(self)

    def moved_to(self, revision: int) -> int:
        """Notes the revision of a change just applied, and returns it."""
        self.record = replace(self.record, revision=revision)
        return revision

    def put_record(self, record: CollectionRecord) -> None:
        """Takes on the collection's changed record."""
        if self.record.names_as_prompts and not record.names_as_prompts:
            named = [one.id for one in self.labels.values() if one.prompt_vector is None and can_answer(one)]
            self.engine.remove_texts(named)
            self.gallery.put(self.engine, named)
        if record.pinned_head != self.record.pinned_head:
            self.engine.mark_outdated()
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

    def find_label(self, text: str) -> str | None:
        """The id of the label that a text names, however that is spelled in Unicode; None: there is none."""
        if text in self.labels:
            return text
        kept = normal(text) if len(text) <= MAX_LABEL else text
        return kept if kept in self.labels else self._respelled.get(kept)

    def put_label(self, label: LabelRecord) -> None:
        """Adds a label or replaces it with its changed self."""
        self.labels[label.id] = label
        if (kept := normal(label.id)) != label.id:
            self._respelled[kept] = label.id
        vector = label.prompt_vector
        if can_answer(label) and (vector is not None or self.engine.can_score(label.id)):
            self._set_text(label.id, None if vector is None else np.frombuffer(vector, "<f4"))

    def drop_label(self, label_id: str) -> None:
        """Removes a label and its examples."""
        index, gone = self.index_of(label_id), self.examples.forget_label(label_id)
        label = self.labels.pop(label_id)
        self._respelled.pop(normal(label_id), None)
        if len(gone):
            index.remove(gone)
        if can_answer(label):
            self.engine.drop(label_id)
            self.gallery.drop(label_id)
        else:
            self.engine.mark_outdated()
        self._changed(self)

    def add_examples(self, examples: Sequence[ExampleRecord]) -> None:
        """Adds enrolled examples."""
        by_index: dict[int, list[ExampleRecord]] = {}
        for example in examples:
            by_index.setdefault(id(self.index_of(example.label_id)), []).append(example)
            self.examples.note(example)
        for several in by_index.values():
            index = self.index_of(several[0].label_id)
            vectors = np.frombuffer(b"".join(example.vector for example in several), "<f4").reshape(len(several), -1)
            index.add([example.sequence for example in several], vectors)
            if index is self.indexes.answering:
                labels = [example.label_id for example in several]
                self.engine.add(labels, vectors, [normal(example.domain) for example in several])
                self.gallery.put(self.engine, labels)
            else:
                self.engine.mark_outdated()
        if examples:
            self._changed(self)

    def hold(self, columns: ExampleColumns, parts: Iterable[Array], sums: Floats | None) -> None:
        """Takes very many enrolled examples at once, into a view that has none; their labels are there.

        `parts`: their vectors, (m, d) each, one part after the other. `sums`: of each label of the columns, (C, d);
        None: the vectors are added up.
        """
        of_labels = [self.index_of(label) for label in columns.labels]
        self.indexes.hold(columns, parts, of_labels)
        self.examples.note_all(columns)
        if sums is None:
            self._learn()
        else:
            counts = np.bincount(columns.codes, minlength=len(columns.labels)).astype(np.float64)
            own = [code for code, index in enumerate(of_labels) if counts[code] and index is self.indexes.answering]
            if own:
                self.engine.add_sums([columns.labels[code] for code in own], counts[own], sums[own])
        self.engine.mark_outdated()
        self._changed(self)

    def drop_example(self, example_id: str) -> None:
        """Takes an example out again, exactly. Raises KeyError."""
        sequence = self.examples.find(example_id)
        example = None if sequence is None else self.examples.example(sequence)
        if sequence is None or example is None:
            raise KeyError(example_id)
        label_id, index = example[1], self.index_of(example[1])
        [domain] = self.examples.domains(np.array([sequence], np.int64)) or [""]
        self.examples.forget(sequence)
        if index is self.indexes.answering:
            self.engine.remove(label_id, index.vector(sequence), domain)
            self.gallery.put(self.engine, [label_id])
        else:
            self.engine.mark_outdated()
        index.remove([sequence])
        self._changed(self)

    def attach(self, attachment: Attachment, of_labels: tuple[Floats, Floats]) -> None:
        """Lays an index below, whose labels are there. `of_labels`: its `sums`."""
        if self.engine.adapted:  # sums are of vectors as they are
            self._learn_anew()
        self._lay(attachment)
        counts, sums = of_labels
        places = [place for place, label in enumerate(attachment.labels) if counts[place] and self._in_class(label)]
        if labels := [attachment.labels[place] for place in places]:
            self.engine.add_sums(labels, counts[places], sums[places])
            if self.engine.lda.dense:
                self.gallery.put(self.engine, labels)
            else:  # all at once takes less than one by one
                self.gallery = LabelIndex()
        self.engine.mark_outdated()
        self._changed(self)

    def detach(self) -> None:
        """Takes the index below away, with its examples."""
        self.problem, self.lost_index = None, ""
        self._lay(None)
        self._learn_anew()
        self._changed(self)

    def replace_index(self, attachment: Attachment, last: int, fitted_ids: Ids) -> None:
        """Takes an index that holds the one below and what was enrolled up to a sequence number, in the place of both.

        The examples are the same, so that heads and what was fitted stay. `fitted_ids`: as they are called now.
        """
        gone = self.examples.forget_until(last)
        self._lay(attachment)
        self.indexes.remove(gone)
        self.fitted_ids = fitted_ids

    def _lay(self, attachment: Attachment | None) -> None:
        self.examples.attachment = attachment
        self.indexes.lay(attachment, lambda label: self.index_of(label) if label in self.labels else None)

    def _learn_anew(self) -> None:
        """From what was enrolled and the labels' prompts; a fit follows."""
        version = self.engine.version
        self.engine, self.gallery = FewShotClassifier(self.record.dimension), LabelIndex()
        self.engine.version = version  # what waits for a fit counts on
        can = [label for label in self.labels.values() if can_answer(label)]
        # Texts first: beside examples each would move all.
        for label in can:
            if label.prompt_vector is not None:
                self.engine.set_text(label.id, np.frombuffer(label.prompt_vector, "<f4"))
        self._learn()
        self.engine.mark_outdated()

    def _learn(self) -> None:
        """What was enrolled, by an engine that knows none of it."""
        can = [label for label in self.labels.values() if can_answer(label)]
        of_label = [self.examples.enrolled_of(label.id) for label in can]
        names = [label.id for label, some in zip(can, of_label, strict=True) for _ in some]
        ids = np.concatenate([np.empty(0, np.int64), *of_label])
        for start in range(0, len(ids), _LEARNED):
            part = slice(start, start + _LEARNED)
            self.engine.add(names[part], self.indexes.answering.vectors(ids[part]), self.examples.domains(ids[part]))

    def _in_class(self, label_id: str) -> bool:
        return label_id in self.labels and self.index_of(label_id) is self.indexes.answering

    def index_of(self, label_id: str) -> LayeredIndex:
        """Where the vectors of a label's examples are; of no label, those that nobody told."""
        return self.indexes.of(self.labels[label_id].role) if label_id else self.indexes.unlabeled


def can_answer(label: LabelRecord) -> bool:
    """Whether a label is one of those that inputs are told apart by."""
    return label.role not in (pb.LABEL_ROLE_NEGATIVE, pb.LABEL_ROLE_UNLABELED)
