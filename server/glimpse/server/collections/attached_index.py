"""The index under a collection, its rows as examples."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import quote, unquote

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats
from glimpse.index import Base, BulkIndex, Ids, Mask, first_id
from glimpse.ledger import AttachmentRecord, ExampleRecord
from glimpse.server.resource_names import normal
from glimpse.v1 import types_pb2

#: What an example can have been enrolled as, by its name in indexes.
MODALITIES = {
    "image": types_pb2.MODALITY_IMAGE,
    "text": types_pb2.MODALITY_TEXT,
    "vector": types_pb2.MODALITY_VECTOR,
}
# Microseconds since the epoch: the year 10000, which a Timestamp does not reach.
_LAST = 253_402_300_800_000_000


class AttachedIndex:
    """Which rows of an index are there, and whose they are. For the event loop's thread alone, once it is made."""

    def __init__(
        self,
        record: AttachmentRecord,
        index: BulkIndex,
        generation: int,
        dead: Sequence[int] = (),
        *,
        contents: bool = False,
    ) -> None:
        """Reads what is asked for often: a second for a million rows.

        Args:
            record: the ledger's.
            index: opened.
            generation: another for every index that the collection has had.
            dead: rows that were deleted.
            contents: whether it will be asked what the same content is known by.
        """
        self.record = record
        self.index: Final = index
        self.generation: Final = generation
        self.dead: Mask = np.zeros(len(index), bool)
        self.dead[np.asarray(dead, np.int64)] = True
        self.first: Final = first_id(generation)
        index.row_of("")  # which makes a table of all ids
        digests = index.digests() if contents else []
        self._contents = np.frombuffer(b"".join(one[:8] for one in digests), "<i8")
        codes = index.label_codes
        self._labels = {label: code for code, label in enumerate(index.labels)}
        # Rows by label, those without one first.
        self._order = np.argsort(codes, kind="stable")
        self._ends = np.cumsum(np.bincount(codes + 1, minlength=len(self._labels) + 1))

    def is_same_index(self, other: "AttachedIndex") -> bool:
        """Whether another is of the same index as it is."""
        mine, others = self.record, other.record
        return (mine.index_id, mine.digest) == (others.index_id, others.digest)

    @property
    def count(self) -> int:
        """The rows that are there."""
        return len(self.dead) - int(np.count_nonzero(self.dead))

    @property
    def unlabeled_count(self) -> int:
        """The rows without a label, deleted ones too: search finds them, and they are never an answer."""
        return int(self._ends[0])

    @property
    def labels(self) -> Sequence[str]:
        """Of its rows, deleted ones too."""
        return self.index.labels

    def ids_of_label(self, label: str) -> Ids:
        """The ids of a label's rows."""
        code = self._labels.get(label)
        if code is None:
            return np.empty(0, np.int64)
        rows = self._order[self._ends[code] : self._ends[code + 1]]
        return np.asarray(rows[~self.dead[rows]] + self.first, np.int64)

    def row(self, id: int) -> int | None:
        """The row of an id; None where it is of another index, or deleted."""
        row = id - self.first
        return row if 0 <= row < len(self.dead) and not self.dead[row] else None

    def find(self, example_id: str) -> int | None:
        """The id of the row that is called so."""
        row = self.index.row_of(unquote(example_id))
        return None if row is None or self.dead[row] else row + self.first

    def example(self, id: int) -> tuple[str, str] | None:
        """The id of the example that a row stands for, and its label's; None where it was deleted."""
        row = self.row(id)
        if row is None:
            return None
        return example_id_of(self.index.id(row)), self.index.label(row) or ""

    def domain(self, id: int) -> str:
        """A row's domain; empty: none."""
        return normal(self.index.domain(id - self.first) or "")

    def content(self, id: int) -> int:
        """What the same content is known by, where that was wanted: see `content_key`."""
        return int(self._contents[id - self.first])

    def tombstone(self, ids: Ids) -> None:
        """Deletes rows."""
        rows = ids - self.first
        self.dead[rows[(rows >= 0) & (rows < len(self.dead))]] = True

    def page(self, after: int, limit: int, label_id: str | None) -> Ids:
        """The ids of rows of one label or all, in order from after a row on."""
        ids = np.flatnonzero(~self.dead) + self.first if label_id is None else np.sort(self.ids_of_label(label_id))
        return np.asarray(ids[ids > after + self.first][:limit], np.int64)

    def records(self, ids: Ids) -> list[ExampleRecord]:
        """Rows as examples. Some tenths of a millisecond each; for any thread."""
        vectors = self.index.vectors(ids - self.first)
        return [self._record(id, vector) for id, vector in zip(ids.tolist(), vectors, strict=True)]

    def _record(self, id: int, vector: Array) -> ExampleRecord:
        row = id - self.first
        about = self.index.about(row)
        told = about.get("metadata")
        metadata = told if isinstance(told, dict) else {"file": self.index.source(row)}
        modality, space, created = about.get("modality"), about.get("space"), about.get("time")
        return ExampleRecord(
            example_id_of(self.index.id(row)),
            self.index.label(row) or "",
            f"sha256:{self.index.digest(row).hex()}",
            MODALITIES.get(modality, 0) if isinstance(modality, str) else 0,
            vector.astype("<f4").tobytes(),
            self.domain(id),
            {_text(key): _text(value) for key, value in metadata.items()},
            _text(space) if space else None,
            sequence=id,
            create_time=created if isinstance(created, int) and 0 <= created < _LAST else self.record.time,
        )

    def sums(self) -> tuple[Floats, Floats]:
        """Of the rows that are there: how many a label has, (C,), and their sums, (C, d). Raises IndexFolderError."""
        counts, sums = (np.array(kind, np.float64) for kind in self.index.label_sums())
        gone = np.flatnonzero(self.dead & (self.index.label_codes >= 0))
        if len(gone):
            codes, vectors = self.index.label_codes[gone], self.index.vectors(gone)
            np.subtract.at(counts, codes, 1.0)
            np.subtract.at(sums, codes, np.asarray(vectors, np.float64))
        return counts, sums

    def base(self, labels: Sequence[str], *, unlabeled: bool) -> Base:
        """The rows of some labels, and perhaps those without one, to be searched."""
        chosen = np.zeros(len(self._labels) + 1, bool)
        chosen[[self._labels[label] + 1 for label in labels if label in self._labels]] = True
        chosen[0] = unlabeled
        return Base.of(self.index, self.generation, chosen[self.index.label_codes + 1] & ~self.dead)


def _text(value: object) -> str:
    """What JSON may hold, and a message may not, is left out: halves of a character."""
    return str(value).encode(errors="ignore").decode()


def content_key(digest: bytes) -> int:
    """The beginning of a digest as a number: what no two contents share, for all that will ever be enrolled."""
    return int.from_bytes(digest[:8], "little", signed=True)


def example_id_of(row_id: str) -> str:
    """A row's id as the last segment of a name."""
    return quote(row_id, safe="")
