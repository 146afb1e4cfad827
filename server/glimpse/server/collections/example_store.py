"""The examples of a collection and their labels: the enrolled ones, and the rows of the attached index."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from glimpse.index import Among, Ids
from glimpse.ledger import ExampleRecord
from glimpse.server.collections.attached_index import AttachedIndex, content_key
from glimpse.server.collections.example_columns import Codes, ExampleColumns
from glimpse.server.resource_names import normal

T = TypeVar("T")
# Examples processed before the thread yields to others.
_BATCH = 1_000


class ExampleStore:
    """Examples by the ids of their vectors in the indexes. Use it in the event loop's thread only.

    An enrolled example's id is its sequence number in the ledger; a row's id comes from `AttachedIndex`.
    """

    def __init__(self, *, contents: bool) -> None:
        """Creates an empty store; `contents`: whether `content_keys` will be called."""
        #: The attached index, or None.
        self.attached_index: AttachedIndex | None = None
        # Example id and label id by sequence number.
        self._enrolled: dict[int, tuple[str, str]] = {}
        self._sequences: dict[str, int] = {}
        self._sequences_by_label: dict[str, list[int]] = {}
        # Only of examples that have a domain, or a group.
        self._domains: dict[int, str] = {}
        self._groups: dict[int, str] = {}
        self._content_keys: dict[int, int] | None = {} if contents else None
        #: The sequence numbers of examples that are updated while a compaction runs; None while none runs.
        self.updated: set[int] | None = None

    def __len__(self) -> int:
        return len(self._enrolled) + (self.attached_index.count if self.attached_index else 0)

    @property
    def max_count(self) -> int:
        """An upper bound of the number of examples: it counts deleted rows too, which take time to leave out."""
        return len(self._enrolled) + (len(self.attached_index.deleted) if self.attached_index else 0)

    @property
    def enrolled_count(self) -> int:
        """The number of examples outside the attached index."""
        return len(self._enrolled)

    @property
    def last_sequence(self) -> int:
        """The highest sequence number of an enrolled example; 0 if there is none."""
        return max(self._enrolled, default=0)

    def add(self, example: ExampleRecord) -> None:
        """Adds an enrolled example."""
        self._enrolled[example.sequence] = (example.id, example.label_id)
        self._sequences[example.id] = example.sequence
        self._sequences_by_label.setdefault(example.label_id, []).append(example.sequence)
        if example.domain:
            self._domains[example.sequence] = normal(example.domain)
        if example.group:
            self._groups[example.sequence] = example.group
        if self._content_keys is not None:
            digest = bytes.fromhex(example.content_digest.removeprefix("sha256:"))
            self._content_keys[example.sequence] = content_key(digest)

    def add_many(self, columns: ExampleColumns) -> None:
        """Adds enrolled examples whose sequence numbers are new."""
        sequences = columns.sequences.tolist()
        labels = [columns.labels[code] for code in columns.codes.tolist()]
        self._enrolled.update(zip(sequences, zip(columns.ids, labels, strict=True), strict=True))
        self._sequences.update(zip(columns.ids, sequences, strict=True))
        order = np.argsort(columns.codes, kind="stable")
        ends = np.cumsum(np.bincount(columns.codes, minlength=len(columns.labels)))
        grouped, start = columns.sequences[order].tolist(), 0
        for label, end in zip(columns.labels, ends.tolist(), strict=True):
            if end > start:
                self._sequences_by_label.setdefault(label, []).extend(grouped[start:end])
            start = end
        self._domains.update(_named(columns.sequences, list(map(normal, columns.domains)), columns.domain_codes))
        self._groups.update(_named(columns.sequences, columns.groups, columns.group_codes))
        if self._content_keys is not None:
            self._content_keys.update(zip(sequences, columns.content_keys.tolist(), strict=True))

    def sequences(self) -> Ids:
        """Returns the sequence numbers of the enrolled examples, `(n,)`; some milliseconds for a million."""
        return np.fromiter(self._enrolled, np.int64, len(self._enrolled))

    def columns(self, sequences: Ids) -> ExampleColumns:
        """Returns the enrolled examples among `sequences` that still exist, in ascending order.

        May be called in any thread. An example that is removed or updated meanwhile may be missing or half updated;
        the ledger's later changes remove or update it too.
        """
        labels, domains, groups = dict[str, int](), {"": 0}, {"": 0}
        ids, numbers, codes = [np.empty(0, object)], [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        domain_codes, group_codes = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
        keys = [np.empty(0, np.int64)]
        for start in range(0, len(sequences), _BATCH):
            batch = sequences[start : start + _BATCH].tolist()
            known = [(sequence, *example) for sequence in batch if (example := self._enrolled.get(sequence))]
            present = [sequence for sequence, _, _ in known]
            numbers.append(np.array(present, np.int64))
            ids.append(np.array([id for _, id, _ in known], object))
            codes.append(_codes(labels, (label for _, _, label in known)))
            domain_codes.append(_codes(domains, (self._domains.get(sequence, "") for sequence in present)))
            group_codes.append(_codes(groups, (self._groups.get(sequence, "") for sequence in present)))
            if self._content_keys is not None:
                keys.append(np.array([self._content_keys.get(sequence, 0) for sequence in present], np.int64))
            time.sleep(0)
        columns = ExampleColumns(
            np.concatenate(numbers),
            np.concatenate(ids),
            list(labels),
            np.concatenate(codes),
            list(domains),
            np.concatenate(domain_codes),
            list(groups),
            np.concatenate(group_codes),
            np.concatenate(keys),
        )
        order = np.argsort(columns.sequences, kind="stable")
        return columns if (np.diff(order) == 1).all() else columns.take(order)

    def remove(self, ids: Ids) -> None:
        """Removes examples."""
        enrolled = [id for id in ids.tolist() if id in self._enrolled]
        self._remove_from_labels(enrolled)
        for sequence in enrolled:
            self._remove_enrolled(sequence)
        if self.attached_index:
            self.attached_index.tombstone(ids)

    def update(self, examples: Sequence[ExampleRecord]) -> None:
        """Gives enrolled examples the labels, domains and groups of their records."""
        self._remove_from_labels([example.sequence for example in examples])
        for example in examples:
            sequence = example.sequence
            self._enrolled[sequence] = (example.id, example.label_id)
            self._sequences_by_label.setdefault(example.label_id, []).append(sequence)
            for values, value in ((self._domains, normal(example.domain)), (self._groups, example.group)):
                if value:
                    values[sequence] = value
                else:
                    values.pop(sequence, None)
            if self.updated is not None:
                self.updated.add(sequence)
        for label_id in {example.label_id for example in examples}:
            self._sequences_by_label[label_id].sort()  # as a view that is loaded from the ledger has them

    def _remove_from_labels(self, sequences: Sequence[int]) -> None:
        """Removes enrolled examples from their labels' lists, in one pass over each list."""
        by_label: dict[str, set[int]] = {}
        for sequence in sequences:
            by_label.setdefault(self._enrolled[sequence][1], set()).add(sequence)
        for label_id, removed in by_label.items():
            kept = [sequence for sequence in self._sequences_by_label[label_id] if sequence not in removed]
            self._sequences_by_label[label_id] = kept

    def remove_label(self, label_id: str) -> Ids:
        """Removes the examples of a label, and returns their ids."""
        ids = self.ids_of_labels([label_id])
        for sequence in self._sequences_by_label.pop(label_id, []):
            self._remove_enrolled(sequence)
        if self.attached_index:
            self.attached_index.tombstone(ids)
        return ids

    def remove_until(self, last: int, kept: Collection[int]) -> Ids:
        """Removes the enrolled examples up to a sequence number except `kept`, and returns their ids."""
        stay = set(kept)
        ids = np.array([number for number in self._enrolled if number <= last and number not in stay], np.int64)
        for sequence in ids.tolist():
            self._remove_enrolled(sequence)
        self._sequences_by_label = {
            label: left
            for label, sequences in self._sequences_by_label.items()
            if (left := [sequence for sequence in sequences if sequence > last or sequence in stay])
        }
        return ids

    def _remove_enrolled(self, sequence: int) -> tuple[str, str]:
        """Removes an enrolled example everywhere but from its label's list."""
        example = self._enrolled.pop(sequence)
        del self._sequences[example[0]]
        self._domains.pop(sequence, None)
        self._groups.pop(sequence, None)
        if self._content_keys is not None:
            self._content_keys.pop(sequence, None)
        return example

    def is_enrolled(self, id: int) -> bool:
        """Returns whether an example is enrolled, and no row of the attached index."""
        return id in self._enrolled

    def find(self, example_id: str) -> int | None:
        """Returns the id of the example's vector; None if there is no such example."""
        sequence = self._sequences.get(example_id)
        if sequence is None and self.attached_index:
            return self.attached_index.find(example_id)
        return sequence

    def example(self, id: int) -> tuple[str, str] | None:
        """Returns the example id and the label id by the id of the vector; None if it was deleted."""
        known = self._enrolled.get(id)
        if known is None and self.attached_index:
            return self.attached_index.example(id)
        return known

    def examples(self, ids: Ids) -> list[list[tuple[str, str] | None]]:
        """Returns `example` for each of several rows of ids, `(n, k)`."""
        if self.attached_index:
            return [[self.example(id) for id in row] for row in ids.tolist()]
        return [[self._enrolled.get(id) for id in row] for row in ids.tolist()]

    def count(self, label_id: str) -> int:
        """Returns the number of a label's examples."""
        rows = len(self.attached_index.ids_of_label(label_id)) if self.attached_index else 0
        return len(self._sequences_by_label.get(label_id, ())) + rows

    def ids_of_labels(self, label_ids: Sequence[str]) -> Ids:
        """Returns the ids of the examples of some labels: `(n,)`."""
        unique = dict.fromkeys(label_ids)
        enrolled = self.enrolled_ids(*unique)
        if not self.attached_index:
            return enrolled
        return np.concatenate([enrolled, *(self.attached_index.ids_of_label(label) for label in unique)])

    def enrolled_ids(self, *label_ids: str) -> Ids:
        """Returns the ids of the enrolled examples of some labels: `(n,)`."""
        by_label = self._sequences_by_label
        return np.array([sequence for label in label_ids for sequence in by_label.get(label, ())], np.int64)

    def select(self, labels: Collection[str], domains: Collection[str]) -> Among | None:
        """Returns the examples of some labels and domains, for search.

        Args:
            labels: Label ids; empty: all labels.
            domains: Domains; empty: all domains.

        Returns:
            None if both are empty: all examples.
        """
        if not labels and not domains:
            return None
        labels, domains = set(labels), set(domains)
        enrolled = self._enrolled if not labels else self.enrolled_ids(*labels).tolist()
        ids = [sequence for sequence in enrolled if not domains or self._domains.get(sequence, "") in domains]
        rows = self.attached_index.index.among(labels, domains) if self.attached_index else np.empty(0, bool)
        return Among(np.array(ids, np.int64), rows)

    def domains(self, ids: Ids) -> Sequence[str]:
        """Returns the domain of each example, empty for none; an empty sequence if no example has a domain."""
        if self.attached_index and self.attached_index.index.domains:
            return self._map(ids, lambda sequence: self._domains.get(sequence, ""), self.attached_index.domain)
        if not self._domains:
            return ()
        return [self._domains.get(sequence, "") for sequence in ids.tolist()]

    def groups(self, ids: Ids) -> Sequence[str]:
        """Returns the group of each example, empty for none; an empty sequence if no example is in a group."""
        if self.attached_index and self.attached_index.has_groups:
            return self._map(ids, lambda sequence: self._groups.get(sequence, ""), self.attached_index.group)
        if not self._groups:
            return ()
        return [self._groups.get(sequence, "") for sequence in ids.tolist()]

    def content_keys(self, ids: Ids) -> Sequence[int]:
        """Returns a key of each example's content, if the constructor was asked for `contents`."""
        assert self._content_keys is not None  # noqa: S101 (callers ask for contents first)
        return self._map(ids, self._content_keys.__getitem__, lambda id: self._index().content_key(id))

    def _map(self, ids: Ids, of_enrolled: Callable[[int], T], of_row: Callable[[int], T]) -> list[T]:
        first = self.attached_index.first if self.attached_index else np.inf
        return [of_row(id) if id >= first else of_enrolled(id) for id in ids.tolist()]

    def _index(self) -> AttachedIndex:
        assert self.attached_index is not None  # noqa: S101 (the example is one of its rows)
        return self.attached_index


def _named(sequences: Ids, names: Sequence[str], codes: Codes) -> Iterator[tuple[int, str]]:
    """Yields each sequence number with its name, where the name's code is not 0."""
    some = np.flatnonzero(codes)
    yield from zip(sequences[some].tolist(), [names[code] for code in codes[some].tolist()], strict=True)


def _codes(positions: dict[str, int], names: Iterable[str]) -> Codes:
    """Returns the position of each name, and adds new names to `positions`."""
    return np.array([positions.setdefault(name, len(positions)) for name in names], np.int32)
