"""A collection as the server holds it in memory: a view of the ledger, updated write by write."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot import FewShotClassifier, LabelPolicy, LabelTree
from glimpse.fewshot.statistics.unit_vectors import Array, Floats
from glimpse.index import Device, Ids, LayeredIndex
from glimpse.ledger import CollectionRecord, ExampleRecord, LabelRecord, ReembeddingRecord
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.composed_labels import ComposedIndex
from glimpse.server.collections.example_columns import ExampleColumns
from glimpse.server.collections.example_store import ExampleStore
from glimpse.server.collections.label_index import LabelIndex
from glimpse.server.collections.learning import add_enrolled, can_answer, new_classifier
from glimpse.server.collections.role_indexes import RoleIndexes
from glimpse.server.errors import RequestError
from glimpse.server.inference.adapted_space import AdaptedSpace
from glimpse.server.resource_names import MAX_LABEL, normal
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2


@dataclass(slots=True, eq=False)
class ReembeddingProgress:
    """The sequence number up to which a re-embedding has embedded every example.

    When earlier examples must be embedded again, a new object replaces this one. A worker that began with the old one
    then updates the old one, which has no effect.
    """

    last_sequence: int = 0


@dataclass(slots=True, eq=False)
class ReembeddingReport:
    """The report on the other backbone of a re-embedding, as of a revision.

    Until `report` is made, `view` is the collection as the other backbone embeds it; no call sees it.
    """

    revision: int
    view: "CollectionView | None"
    report: pb.GetCollectionReportResponse | None = None


class CollectionView:
    """One collection's labels, examples, classifier and indexes.

    Use it in the event loop's thread only, except for searches of `indexes`.
    """

    def __init__(self, record: CollectionRecord, changed: Callable[["CollectionView"], None] = lambda _: None) -> None:
        """Creates the view of an empty collection; `changed` is called after each change that a fit would see."""
        self.record = record
        #: Whether the review policy keeps queries; an attribute, because each Classify reads it.
        self.keeps_queries = record.keeps_queries
        #: Whether any number of labels may apply to an input, which is fixed on creation.
        self.independent = record.label_mode == types_pb2.LABEL_MODE_INDEPENDENT
        self.labels: dict[str, LabelRecord] = {}
        #: The policies of the labels that have one, because each Classify reads them.
        self.label_policies: dict[str, LabelPolicy] = {}
        # Labels by other spellings: their aliases, and the normal form of ids that older servers accepted without it.
        self._respelled: dict[str, str] = {}
        self._mistake_costs: dict[tuple[str, str], float] | None = None
        self._parents: dict[str, str] = {}
        #: The tree of the labels; None if no label has a parent.
        self.tree: LabelTree | None = None
        self.classifier = FewShotClassifier(record.dimension)
        self.indexes = RoleIndexes(record.dimension)
        self.examples = ExampleStore(contents=self.independent)
        #: The labels that are composed of others.
        self.composed = ComposedIndex()
        #: Why the collection is unusable, and the id of the attached index that is missing; None and "" otherwise.
        self.problem: RequestError | None = None
        self.missing_index_id = ""
        #: The re-embedding with another backbone, its progress, and the report on the other backbone.
        self.reembedding: ReembeddingRecord | None = None
        self.reembedding_progress = ReembeddingProgress()
        self.reembedding_report: ReembeddingReport | None = None
        #: Finds candidates among very many labels.
        self.label_index = LabelIndex()
        #: The ids of the examples that `classifier.fitted` was fitted to, in its order, and the revision.
        self.fitted_ids: Ids = np.empty(0, np.int64)
        self.fitted_revision = 0
        #: How the backbone was adapted, if the collection held examples of its training at the last fit.
        self.adapted: AdaptedSpace | None = None
        #: Held while the labels' names are embedded.
        self.naming_lock = asyncio.Lock()
        self._changed = changed

    @property
    def accuracy(self) -> float | None:
        """The leave-one-out accuracy of the chosen head at the last fit, or the cross-fitted one of an adapted backbone
        that has seen the examples; None if it was not measured.
        """
        if self.adapted:
            return self.adapted.lineage.accuracy.adapted
        evaluation = self.classifier.chosen_evaluation
        return evaluation.accuracy if evaluation and evaluation.count else None

    def watch(self, changed: Callable[["CollectionView"], None]) -> None:
        """Calls `changed` after each change from now on, and once now if the collection has labels."""
        self._changed = changed
        if self.labels:
            changed(self)

    def search_on(self, device: Device) -> None:
        """Searches examples and labels on a device from now on, where there are enough."""
        self.indexes.search_on(device)
        self.label_index.device = device

    def set_revision(self, revision: int) -> int:
        """Sets the revision of the change just applied, and returns it."""
        self.record = replace(self.record, revision=revision)
        return revision

    def update_record(self, record: CollectionRecord) -> None:
        """Replaces the collection's record, and forgets embedded names if they are no longer prompts."""
        if self.record.names_as_prompts and not record.names_as_prompts:
            named = [label.id for label in self.labels.values() if label.prompt_vector is None and can_answer(label)]
            self.classifier.remove_texts(named)
            self.label_index.put(self.classifier, named)
        settings = record.pinned_head, record.adapt_to_unlabeled
        if settings != (self.record.pinned_head, self.record.adapt_to_unlabeled):
            self.classifier.mark_outdated()
        self.record, self.keeps_queries, self._mistake_costs = record, record.keeps_queries, None
        self._changed(self)

    def unnamed_labels(self) -> list[LabelRecord]:
        """Returns the labels that can answer but have neither prompts nor an embedded name, and group no others."""
        texts = self.classifier.lda.moments.texts
        if len(texts) == len(self.labels):
            return []
        groups = self.tree.inner if self.tree else ()
        labels = (label for label in self.labels.values() if can_answer(label) and label.id not in texts)
        return [label for label in labels if label.id not in groups]

    def name_label(self, label: LabelRecord, direction: Array) -> None:
        """Uses the embedded name of a label, `(d,)`, as its prompt, unless the label has changed since."""
        if self.labels.get(label.id) is label and self.record.names_as_prompts:
            self._set_text(label.id, direction)

    def _set_text(self, label_id: str, direction: Array | None) -> None:
        self.classifier.set_text(label_id, direction)
        self.label_index.put(self.classifier, [label_id])
        self._changed(self)

    def find_label(self, text: str) -> str | None:
        """Returns the id of the label that a text names, in any Unicode spelling; None if there is none."""
        if text in self.labels:
            return text
        normal_text = normal(text) if len(text) <= MAX_LABEL else text
        return normal_text if normal_text in self.labels else self._respelled.get(normal_text)

    def mistake_costs(self) -> dict[tuple[str, str], float]:
        """Returns the costs of mistakes by the ids of the true and the answered label, where both exist.

        After labels were merged, several costs may name the same two labels; the greatest holds. The result is kept
        until the labels or the costs change, because each Classify asks for it.
        """
        if self._mistake_costs is not None:
            return self._mistake_costs
        costs = dict[tuple[str, str], float]()
        for truth, answered, cost in self.record.mistake_costs:
            pair = self.find_label(truth), self.find_label(answered)
            if pair[0] and pair[1] and pair[0] != pair[1]:
                key = pair[0], pair[1]
                costs[key] = max(cost, costs.get(key, 0.0))
        self._mistake_costs = costs
        return costs

    def put_label(self, label: LabelRecord) -> None:
        """Adds a label, or replaces its record."""
        self._mistake_costs = None
        if former := self.labels.get(label.id):
            self._forget_spellings(former)
        self.labels[label.id] = label
        own = LabelPolicy(label.match_threshold, label.false_reject_rate, label.min_examples)
        if own != LabelPolicy():
            self.label_policies[label.id] = own
        else:
            self.label_policies.pop(label.id, None)
        if (normal_id := normal(label.id)) != label.id:
            self._respelled[normal_id] = label.id
        self._respelled.update(dict.fromkeys(label.aliases, label.id))
        if self.composed.put(label):
            self.classifier.mark_outdated()
            self._changed(self)
        vector = label.prompt_vector
        if can_answer(label) and (vector is not None or self.classifier.can_score(label.id)):
            self._set_text(label.id, None if vector is None else np.frombuffer(vector, "<f4"))
        elif label.composed and self.classifier.can_score(label.id):  # by its name, before it was composed
            self.classifier.drop(label.id)
            self.label_index.remove(label.id)
        if label.parent_id != (former.parent_id if former else ""):
            self._set_parent(label.id, label.parent_id)

    def _set_parent(self, label_id: str, parent_id: str) -> None:
        had_tree = self.tree is not None
        self._parents.pop(label_id, None)
        if parent_id:
            self._parents[label_id] = parent_id
        self.tree = LabelTree(self._parents) if self._parents else None
        parent = self.labels.get(parent_id)
        if parent and parent.prompt_vector is None and parent_id in self.classifier.lda.moments.texts:
            self._set_text(parent_id, None)  # its embedded name would compete with the labels that it groups
        if self.tree and not had_tree:  # the report needs a fit that keeps more
            self.classifier.mark_outdated()
            self._changed(self)

    def remove_label(self, label_id: str) -> None:
        """Removes a label and its examples."""
        self._mistake_costs = None
        index, removed_ids = self.index_of(label_id), self.examples.remove_label(label_id)
        label = self.labels.pop(label_id)
        if label.parent_id:
            self._set_parent(label_id, "")
        self.label_policies.pop(label_id, None)
        self._forget_spellings(label)
        if self.composed.remove(label_id):
            self.classifier.mark_outdated()
        if len(removed_ids):
            index.remove(removed_ids)
        if can_answer(label):
            self.classifier.drop(label_id)
            self.label_index.remove(label_id)
        else:
            self.classifier.mark_outdated()
        self._changed(self)

    def _forget_spellings(self, label: LabelRecord) -> None:
        for spelling in (normal(label.id), *label.aliases):
            if self._respelled.get(spelling) == label.id:
                del self._respelled[spelling]

    def add_examples(self, examples: Sequence[ExampleRecord]) -> None:
        """Adds enrolled examples, whose labels exist."""
        by_index: dict[int, list[ExampleRecord]] = {}
        for example in examples:
            by_index.setdefault(id(self.index_of(example.label_id)), []).append(example)
            self.examples.add(example)
        for group in by_index.values():
            index, ids = self.index_of(group[0].label_id), np.array([example.sequence for example in group], np.int64)
            vectors = np.frombuffer(b"".join(example.vector for example in group), "<f4").reshape(len(group), -1)
            index.add(ids, vectors)
            self._learn(index, ids, vectors)
        if examples:
            self._changed(self)

    def load_examples(self, columns: ExampleColumns, parts: Iterable[Array], sums: Floats | None) -> None:
        """Adds many enrolled examples at once to a view that has none; their labels exist.

        Args:
            columns: The examples.
            parts: Their vectors in the same order, in arrays of `(m, d)`.
            sums: The sums of the vectors of each label of the columns, `(C, d)`; None: compute them.
        """
        of_labels = [self.index_of(label) for label in columns.labels]
        self.indexes.load(columns, parts, of_labels)
        self.examples.add_many(columns)
        if sums is None:
            self._add_enrolled()
        else:
            counts = np.bincount(columns.codes, minlength=len(columns.labels)).astype(np.float64)
            own = [code for code, index in enumerate(of_labels) if counts[code] and index is self.indexes.answering]
            if own:
                self.classifier.add_sums([columns.labels[code] for code in own], counts[own], sums[own])
        self.classifier.mark_outdated()
        self._changed(self)

    def remove_examples(self, example_ids: Sequence[str]) -> None:
        """Removes examples and reverses their effect exactly. Raises KeyError if one of them does not exist."""
        ids = [self.examples.find(example_id) for example_id in example_ids]
        if None in ids:
            raise KeyError(example_ids[ids.index(None)])
        removed = np.array(ids, np.int64)
        for index, own in self._by_index(removed):
            self._unlearn(index, own)
            index.remove(own)
        self.examples.remove(removed)
        self._changed(self)

    def update_examples(self, examples: Sequence[ExampleRecord]) -> None:
        """Gives enrolled examples the labels, domains and groups of their records, which name existing labels.

        The result is that of removing them and adding them again. Their vectors stay, so an index changes only for
        examples whose label has another role.
        """
        ids = np.array([example.sequence for example in examples], np.int64)
        before = self._by_index(ids)
        vectors = {
            id: vector for index, own in before for id, vector in zip(own.tolist(), index.vectors(own), strict=True)
        }
        for index, own in before:
            self._unlearn(index, own)
        self.examples.update(examples)
        after = self._by_index(ids)
        for index, own in after:
            here = {id for other, ids_before in before if other is index for id in ids_before.tolist()}
            if new := [id for id in own.tolist() if id not in here]:
                index.add(new, np.stack([vectors[id] for id in new]))
            self._learn(index, own, np.stack([vectors[id] for id in own.tolist()]))
        for index, own in before:
            stay = [ids_after for other, ids_after in after if other is index]
            index.remove(np.setdiff1d(own, np.concatenate([np.empty(0, np.int64), *stay])))
        if len(ids):
            self._changed(self)

    def _by_index(self, ids: Ids) -> list[tuple[LayeredIndex, Ids]]:
        """Returns each index that holds some of the examples, with the ids of those."""
        by_index: dict[int, tuple[LayeredIndex, list[int]]] = {}
        for number in ids.tolist():
            index = self.index_of(self.label_of(number))
            by_index.setdefault(id(index), (index, []))[1].append(number)
        return [(index, np.array(own, np.int64)) for index, own in by_index.values()]

    def label_of(self, id: int) -> str:
        """Returns the label of an example; empty for a row of the index without one. Raises KeyError."""
        if (example := self.examples.example(id)) is None:
            raise KeyError(id)
        return example[1]

    def _learn(self, index: LayeredIndex, ids: Ids, vectors: Array) -> None:
        """Adds the effect of examples that the store holds, with vectors `(n, d)`, to the classifier."""
        if index is not self.indexes.answering:
            self.classifier.mark_outdated()
            return
        labels = [self.label_of(id) for id in ids.tolist()]
        self.classifier.add(labels, vectors, self.examples.domains(ids))
        self.label_index.put(self.classifier, labels)

    def _unlearn(self, index: LayeredIndex, ids: Ids) -> None:
        """Reverses the effect of examples on the classifier."""
        if index is not self.indexes.answering:
            self.classifier.mark_outdated()
            return
        labels = [self.label_of(id) for id in ids.tolist()]
        self.classifier.remove(labels, index.vectors(ids), self.examples.domains(ids))
        self.label_index.put(self.classifier, labels)

    def attach(self, attached: AttachedIndex, label_sums: tuple[Floats, Floats]) -> None:
        """Attaches an index whose labels exist; `label_sums` are its `sums()`."""
        if self.classifier.adapted:  # the sums are of vectors without adaptation
            self._learn_again()
        self._set_index(attached)
        counts, sums = label_sums
        places = [place for place, label in enumerate(attached.labels) if counts[place] and self._is_answering(label)]
        if labels := [attached.labels[place] for place in places]:
            self.classifier.add_sums(labels, counts[places], sums[places])
            if self.classifier.lda.dense:
                self.label_index.put(self.classifier, labels)
            else:  # building a new index of labels takes less time than thousands of updates
                self.label_index = LabelIndex()
        self.classifier.mark_outdated()
        self._changed(self)

    def detach(self) -> None:
        """Detaches the index, and removes its examples."""
        self.problem, self.missing_index_id = None, ""
        self._set_index(None)
        self._learn_again()
        self._changed(self)

    def replace_index(self, attached: AttachedIndex, last_sequence: int, kept: Sequence[int], fitted_ids: Ids) -> None:
        """Replaces the attached index and the enrolled examples by an index with the examples of both.

        The examples are the same, so the classifier and its fit stay.

        Args:
            attached: The new index.
            last_sequence: It holds the enrolled examples up to this sequence number.
            kept: The sequence numbers among these of examples that stay enrolled; their rows are deleted.
            fitted_ids: `fitted_ids` with the ids of the new index.
        """
        removed_ids = self.examples.remove_until(last_sequence, kept)
        self._set_index(attached)
        self.indexes.remove(removed_ids)
        self.fitted_ids = fitted_ids

    def _set_index(self, attached: AttachedIndex | None) -> None:
        self.examples.attached_index = attached
        self.indexes.set_base(attached, lambda label: self.index_of(label) if label in self.labels else None)

    def _learn_again(self) -> None:
        """Replaces the classifier by one of the enrolled examples and the prompts; a fit follows."""
        version = self.classifier.version
        self.classifier = new_classifier(self.record.dimension, list(self.labels.values()), self.examples, self.indexes)
        self.label_index = LabelIndex()
        self.classifier.version = version  # calls that wait for a fit compare versions
        self.classifier.mark_outdated()

    def _add_enrolled(self) -> None:
        add_enrolled(self.classifier, list(self.labels.values()), self.examples, self.indexes)

    def _is_answering(self, label_id: str) -> bool:
        return label_id in self.labels and self.index_of(label_id) is self.indexes.answering

    def index_of(self, label_id: str) -> LayeredIndex:
        """Returns the index of a label's examples; for an empty id, that of the examples without a label."""
        return self.indexes.of_role(self.labels[label_id].role) if label_id else self.indexes.unlabeled
