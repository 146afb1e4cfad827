"""The index attached to a collection, whose rows are examples of the collection."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats
from glimpse.index import Base, Ids, Mask, first_id
from glimpse.ledger import AttachmentRecord, ExampleRecord
from glimpse.server.resource_names import normal
from glimpse.v1 import types_pb2

if TYPE_CHECKING:
    from glimpse.index import BulkIndex

#: The modality of an example by its name in an index.
MODALITIES = {
    "image": types_pb2.MODALITY_IMAGE,
    "text": types_pb2.MODALITY_TEXT,
    "vector": types_pb2.MODALITY_VECTOR,
}
# Microseconds since the epoch at the year 10000, the first that a Timestamp cannot hold.
_TIME_LIMIT = 253_402_300_800_000_000


class AttachedIndex:
    """An open index, and which of its rows were deleted.

    A row's id is its position plus `first`. After construction, use it in the event loop's thread only, except for
    `records`.
    """

    def __init__(
        self,
        record: AttachmentRecord,
        index: "BulkIndex",
        generation: int,
        deleted: Sequence[int] = (),
        *,
        contents: bool = False,
    ) -> None:
        """Reads ids, label codes and groups into memory, which takes about a second for a million rows.

        Args:
            record: The attachment as the ledger records it.
            index: The open index.
            generation: A number that no other index of the collection had; it makes the rows' ids unique.
            deleted: The positions of the deleted rows.
            contents: Whether to read content digests too, for `content_key`.
        """
        self.record = record
        self.index: Final = index
        self.generation: Final = generation
        self.deleted: Mask = np.zeros(len(index), bool)
        self.deleted[np.asarray(deleted, np.int64)] = True
        self.first: Final = first_id(generation)
        index.row_of("")  # builds the table of ids now, not in the first call that needs it
        self._content_keys = index.content_keys() if contents else np.empty(0, np.int64)
        self._groups = {row: _valid_text(group) for row, group in index.groups()}
        codes = index.label_codes
        self._labels = {label: code for code, label in enumerate(index.labels)}
        # Row positions sorted by label; rows without a label come first.
        self._order = np.argsort(codes, kind="stable")
        self._ends = np.cumsum(np.bincount(codes + 1, minlength=len(self._labels) + 1))

    def is_same_index(self, other: "AttachedIndex") -> bool:
        """Returns whether both are the same index with the same content."""
        return (self.record.index_id, self.record.digest) == (other.record.index_id, other.record.digest)

    @property
    def count(self) -> int:
        """The number of rows that are not deleted."""
        return len(self.deleted) - int(np.count_nonzero(self.deleted))

    @property
    def unlabeled_count(self) -> int:
        """The number of rows without a label, deleted ones included. Search returns them; Classify never does."""
        return int(self._ends[0])

    @property
    def searched(self) -> str:
        """The device on which it is searched, and the reason."""
        return self.index.searched

    @property
    def labels(self) -> Sequence[str]:
        """The labels of all rows, deleted ones included."""
        return self.index.labels

    def ids_of_label(self, label: str) -> Ids:
        """Returns the ids of a label's rows that are not deleted: `(n,)`."""
        code = self._labels.get(label)
        if code is None:
            return np.empty(0, np.int64)
        rows = self._order[self._ends[code] : self._ends[code + 1]]
        return np.asarray(rows[~self.deleted[rows]] + self.first, np.int64)

    def row(self, id: int) -> int | None:
        """Returns the position of a row by its id; None if it is deleted, or in another index."""
        row = id - self.first
        return row if 0 <= row < len(self.deleted) and not self.deleted[row] else None

    def find(self, example_id: str) -> int | None:
        """Returns the id of the row with this example id; None if there is none."""
        row = self.index.row_of(unquote(example_id))
        return None if row is None or self.deleted[row] else row + self.first

    def example(self, id: int) -> tuple[str, str] | None:
        """Returns the example id and the label id of a row; None if it is deleted."""
        row = self.row(id)
        if row is None:
            return None
        return example_id_of(self.index.id(row)), self.index.label(row) or ""

    def domain(self, id: int) -> str:
        """Returns a row's domain, or an empty string."""
        return normal(self.index.domain(id - self.first) or "")

    @property
    def has_groups(self) -> bool:
        """True if a row is in a group."""
        return bool(self._groups)

    def group(self, id: int) -> str:
        """Returns a row's group, or an empty string."""
        return self._groups.get(id - self.first, "")

    def content_key(self, id: int) -> int:
        """Returns a row's `content_key`, if the constructor was asked for `contents`."""
        return int(self._content_keys[id - self.first])

    def tombstone(self, ids: Ids) -> None:
        """Marks rows as deleted; ids that are not in this index are ignored."""
        rows = ids - self.first
        self.deleted[rows[(rows >= 0) & (rows < len(self.deleted))]] = True

    def page(self, after: int, limit: int, label_id: str | None) -> Ids:
        """Returns the ids of at most `limit` rows after the position `after`, of one label or of all."""
        ids = np.flatnonzero(~self.deleted) + self.first if label_id is None else np.sort(self.ids_of_label(label_id))
        return np.asarray(ids[ids > after + self.first][:limit], np.int64)

    def records(self, ids: Ids) -> list[ExampleRecord]:
        """Returns rows as examples. Takes some tenths of a millisecond for each; may be called in any thread."""
        vectors = self.index.vectors(ids - self.first)
        return [self._record(id, vector) for id, vector in zip(ids.tolist(), vectors, strict=True)]

    def _record(self, id: int, vector: Array) -> ExampleRecord:
        row = id - self.first
        about = self.index.about(row)
        metadata = about.get("metadata")
        if not isinstance(metadata, dict):
            metadata = {"file": self.index.source(row)}
        modality, space, created = about.get("modality"), about.get("space"), about.get("time")
        return ExampleRecord(
            example_id_of(self.index.id(row)),
            self.index.label(row) or "",
            f"sha256:{self.index.digest(row).hex()}",
            MODALITIES.get(modality, 0) if isinstance(modality, str) else 0,
            vector.astype("<f4").tobytes(),
            self.domain(id),
            {_valid_text(key): _valid_text(value) for key, value in metadata.items()},
            _valid_text(space) if space else None,
            sequence=id,
            create_time=created if isinstance(created, int) and 0 <= created < _TIME_LIMIT else self.record.time,
            group=self.group(id),
        )

    def sums(self) -> tuple[Floats, Floats]:
        """Returns the number of rows of each label, `(C,)`, and the sums of their vectors, `(C, d)`.

        Deleted rows do not count. Raises IndexFolderError if the index cannot be read.
        """
        counts, sums = (np.array(values, np.float64) for values in self.index.label_sums())
        deleted = np.flatnonzero(self.deleted & (self.index.label_codes >= 0))
        if len(deleted):
            codes, vectors = self.index.label_codes[deleted], self.index.vectors(deleted)
            np.subtract.at(counts, codes, 1.0)
            np.subtract.at(sums, codes, np.asarray(vectors, np.float64))
        return counts, sums

    def base(self, labels: Sequence[str], *, unlabeled: bool) -> Base:
        """Returns the rows of some labels for search, with the rows that have no label if `unlabeled` is set."""
        chosen = np.zeros(len(self._labels) + 1, bool)
        chosen[[self._labels[label] + 1 for label in labels if label in self._labels]] = True
        chosen[0] = unlabeled
        return Base.of(self.index, self.generation, chosen[self.index.label_codes + 1] & ~self.deleted)


def _valid_text(value: object) -> str:
    """Returns the text without lone surrogates, which JSON can hold and a protobuf message cannot."""
    return str(value).encode(errors="ignore").decode()


def content_key(digest: bytes) -> int:
    """Returns the first 8 bytes of a content digest as a signed integer.

    It identifies equal contents: a collision among a million examples is practically impossible.
    """
    return int.from_bytes(digest[:8], "little", signed=True)


def example_id_of(row_id: str) -> str:
    """Returns a row's id in the form of the last segment of a resource name."""
    return quote(row_id, safe="")
