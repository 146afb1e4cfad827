"""Which examples a collection holds, and whose they are: those enrolled, and the rows of the index below."""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeVar

import numpy as np

from glimpse.index import Among, Ids
from glimpse.ledger import ExampleRecord
from glimpse.server.collections.attached_index import Attachment, content_key
from glimpse.server.collections.example_columns import Codes, ExampleColumns
from glimpse.server.resource_names import normal

T = TypeVar("T")
# Examples looked at before another thread may go on.
_AT_ONCE = 1_000


class ExampleStore:
    """Examples by the numbers that their vectors are known by in the indexes. For the event loop's thread alone."""

    def __init__(self, *, contents: bool) -> None:
        """`contents`: whether it will be asked what the same content is known by."""
        #: The index below; None: there is none.
        self.attachment: Attachment | None = None
        # Of what was enrolled, by the ledger's sequence number: example id and label id.
        self._enrolled: dict[int, tuple[str, str]] = {}
        self._sequences: dict[str, int] = {}
        self._of_label: dict[str, list[int]] = {}
        # Of the examples that have one.
        self._domains: dict[int, str] = {}
        self._contents: dict[int, int] | None = {} if contents else None

    def __len__(self) -> int:
        return len(self._enrolled) + (self.attachment.count if self.attachment else 0)

    @property
    def at_most(self) -> int:
        """How many there are, deleted rows of the index below counted in: these take time to leave out."""
        return len(self._enrolled) + (len(self.attachment.dead) if self.attachment else 0)

    @property
    def enrolled(self) -> int:
        """How many are no rows of the index below."""
        return len(self._enrolled)

    @property
    def last(self) -> int:
        """The number of the last one enrolled that is there; 0: none."""
        return max(self._enrolled, default=0)

    def note(self, example: ExampleRecord) -> None:
        """One more was enrolled."""
        self._enrolled[example.sequence] = (example.id, example.label_id)
        self._sequences[example.id] = example.sequence
        self._of_label.setdefault(example.label_id, []).append(example.sequence)
        if example.domain:
            self._domains[example.sequence] = normal(example.domain)
        if self._contents is not None:
            digest = bytes.fromhex(example.content_digest.removeprefix("sha256:"))
            self._contents[example.sequence] = content_key(digest)

    def note_all(self, columns: ExampleColumns) -> None:
        """Many more were, under numbers that are new."""
        sequences = columns.sequences.tolist()
        labels = [columns.labels[code] for code in columns.codes.tolist()]
        self._enrolled.update(zip(sequences, zip(columns.ids, labels, strict=True), strict=True))
        self._sequences.update(zip(columns.ids, sequences, strict=True))
        order = np.argsort(columns.codes, kind="stable")
        ends = np.cumsum(np.bincount(columns.codes, minlength=len(columns.labels)))
        grouped, start = columns.sequences[order].tolist(), 0
        for label, end in zip(columns.labels, ends.tolist(), strict=True):
            if end > start:
                self._of_label.setdefault(label, []).extend(grouped[start:end])
            start = end
        with_domain = np.flatnonzero(columns.domain_codes)
        domains = list(map(normal, columns.domains))
        names = [domains[code] for code in columns.domain_codes[with_domain].tolist()]
        self._domains.update(zip(columns.sequences[with_domain].tolist(), names, strict=True))
        if self._contents is not None:
            self._contents.update(zip(sequences, columns.contents.tolist(), strict=True))

    def sequences(self) -> Ids:
        """The numbers of those enrolled, (n,): some milliseconds for a million."""
        return np.fromiter(self._enrolled, np.int64, len(self._enrolled))

    def columns(self, sequences: Ids) -> ExampleColumns:
        """What is known of those of them that are there, ascending. For any thread: what is known never changes."""
        labels, domains = dict[str, int](), {"": 0}
        ids, numbers, codes = [np.empty(0, object)], [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        domain_codes, contents = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for start in range(0, len(sequences), _AT_ONCE):
            asked = sequences[start : start + _AT_ONCE].tolist()
            known = [(one, *example) for one in asked if (example := self._enrolled.get(one))]
            some = [one for one, _, _ in known]
            numbers.append(np.array(some, np.int64))
            ids.append(np.array([id for _, id, _ in known], object))
            codes.append(_coded(labels, (label for _, _, label in known)))
            domain_codes.append(_coded(domains, (self._domains.get(one, "") for one in some)))
            if self._contents is not None:
                contents.append(np.array([self._contents.get(one, 0) for one in some], np.int64))
            time.sleep(0)
        columns = ExampleColumns(
            np.concatenate(numbers),
            np.concatenate(ids),
            list(labels),
            np.concatenate(codes),
            list(domains),
            np.concatenate(domain_codes),
            np.concatenate(contents),
        )
        order = np.argsort(columns.sequences, kind="stable")
        return columns if (np.diff(order) == 1).all() else columns.at(order)

    def forget(self, sequence: int) -> None:
        """One is there no more."""
        if sequence not in self._enrolled:
            assert self.attachment is not None  # noqa: S101 (it has the row)
            self.attachment.bury(np.array([sequence], np.int64))
            return
        _, label_id = self._forget(sequence)
        self._of_label[label_id].remove(sequence)

    def forget_label(self, label_id: str) -> Ids:
        """All of a label's are there no more; returns their numbers."""
        gone = self.of_labels([label_id])
        for sequence in self._of_label.pop(label_id, []):
            self._forget(sequence)
        if self.attachment:
            self.attachment.bury(gone)
        return gone

    def forget_until(self, last: int) -> Ids:
        """What was enrolled up to a sequence number is there no more; returns the numbers."""
        gone = np.array([sequence for sequence in self._enrolled if sequence <= last], np.int64)
        for sequence in gone.tolist():
            self._forget(sequence)
        self._of_label = {
            label: kept for label, some in self._of_label.items() if (kept := [one for one in some if one > last])
        }
        return gone

    def _forget(self, sequence: int) -> tuple[str, str]:
        """All that is known of an enrolled one but that its label has it."""
        example = self._enrolled.pop(sequence)
        del self._sequences[example[0]]
        self._domains.pop(sequence, None)
        if self._contents is not None:
            self._contents.pop(sequence, None)
        return example

    def find(self, example_id: str) -> int | None:
        """An example's number; None where there is no such example."""
        sequence = self._sequences.get(example_id)
        if sequence is None and self.attachment:
            return self.attachment.find(example_id)
        return sequence

    def example(self, sequence: int) -> tuple[str, str] | None:
        """The id of an example and its label's; None where it was deleted."""
        known = self._enrolled.get(sequence)
        if known is None and self.attachment:
            return self.attachment.example(sequence)
        return known

    def examples(self, sequences: Ids) -> list[list[tuple[str, str] | None]]:
        """Returns `example` for each sequence number, (n, k)."""
        known, attachment = self._enrolled, self.attachment
        if attachment:
            return [[self.example(sequence) for sequence in row] for row in sequences.tolist()]
        return [[known.get(sequence) for sequence in row] for row in sequences.tolist()]

    def count(self, label_id: str) -> int:
        """How many a label has."""
        below = len(self.attachment.of_label(label_id)) if self.attachment else 0
        return len(self._of_label.get(label_id, ())) + below

    def of_labels(self, label_ids: Sequence[str]) -> Ids:
        """The numbers of some labels' examples: (n,)."""
        once = dict.fromkeys(label_ids)
        found = self.enrolled_of(*once)
        if not self.attachment:
            return found
        return np.concatenate([found, *(self.attachment.of_label(label) for label in once)])

    def enrolled_of(self, *label_ids: str) -> Ids:
        """The numbers of those of some labels that were enrolled: (n,)."""
        return np.array([one for label in label_ids for one in self._of_label.get(label, ())], np.int64)

    def among(self, labels: Collection[str], domains: Collection[str]) -> Among | None:
        """The examples of some labels and domains; empty: of all. None: all there are."""
        if not labels and not domains:
            return None
        labels, domains = set(labels), set(domains)
        some = self._enrolled if not labels else self.enrolled_of(*labels).tolist()
        ids = [one for one in some if not domains or self._domains.get(one, "") in domains]
        rows = self.attachment.index.among(labels, domains) if self.attachment else np.empty(0, bool)
        return Among(np.array(ids, np.int64), rows)

    def domains(self, sequences: Ids) -> Sequence[str]:
        """The domains of examples, one each, empty for none; or none at all where no example has one."""
        if self.attachment and self.attachment.index.domains:
            return self._each(sequences, lambda one: self._domains.get(one, ""), self.attachment.domain)
        if not self._domains:
            return ()
        return [self._domains.get(sequence, "") for sequence in sequences.tolist()]

    def contents(self, sequences: Ids) -> Sequence[int]:
        """What the same content is known by, where that was wanted: one each."""
        assert self._contents is not None  # noqa: S101 (it was wanted)
        known = self._contents
        return self._each(sequences, known.__getitem__, lambda one: self._below().content(one))

    def _each(self, sequences: Ids, enrolled: Callable[[int], T], below: Callable[[int], T]) -> list[T]:
        first = self.attachment.first if self.attachment else np.inf
        return [below(one) if one >= first else enrolled(one) for one in sequences.tolist()]

    def _below(self) -> Attachment:
        assert self.attachment is not None  # noqa: S101 (it has the row)
        return self.attachment


def _coded(places: dict[str, int], names: Iterable[str]) -> Codes:
    """The places of names; of new ones, the next."""
    return np.array([places.setdefault(name, len(places)) for name in names], np.int32)
