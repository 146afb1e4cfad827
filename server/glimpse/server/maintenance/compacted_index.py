"""Writes the index of a compaction: the rows of the old index, then the enrolled examples."""

import itertools
import json
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from glimpse.index import GIVEN, Header, Ids, Manifest, Mask, VectorType
from glimpse.ledger import ExampleRecord, Ledger
from glimpse.server.collections.attached_index import MODALITIES, AttachedIndex
from glimpse.server.collections.example_store import ExampleStore

if TYPE_CHECKING:
    import pyarrow as pa

# Examples read from the ledger in one batch.
_BATCH = 1_000
_MODALITY_NAMES = {int(number): name for name, number in MODALITIES.items()}
# Runs a query of the ledger, and returns its result.
Read = Callable[[Callable[[Ledger], list[ExampleRecord]]], list[ExampleRecord]]


@dataclass(slots=True)
class CompactedRows:
    """The rows of the new index: those of the old index, then the enrolled examples.

    Attributes:
        old: The old index.
        rows: The positions of its rows that were not deleted when the compaction began, ascending.
        last_sequence: The last enrolled example's sequence number at that time.
        sequences: The sequence numbers of the enrolled examples that were written, ascending.
    """

    old: AttachedIndex
    rows: Ids
    last_sequence: int
    sequences: list[int] = field(default_factory=list)

    def new_ids(self, ids: Ids, first: int, kept: Sequence[int]) -> Ids:
        """Converts ids of examples to those in the new index, whose rows begin at `first`: `(n,)`.

        Ids of examples that are not in the new index, and those of `kept`, stay as they are.
        """
        converted = ids.copy()
        old_ids, sequences = self.rows + self.old.first, np.array(self.sequences, np.int64)
        for known, offset in ((old_ids, 0), (sequences, len(self.rows))):
            if len(known):
                places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
                converted = np.where(known[places] == ids, first + offset + places, converted)
        return np.where(np.isin(ids, np.array(kept, np.int64)), ids, converted)

    def deleted(self, examples: ExampleStore, kept: Container[int]) -> list[int]:
        """Returns the positions of the new rows whose examples were deleted during the compaction, or are `kept`."""
        rows = np.flatnonzero(self.old.deleted[self.rows]).tolist()
        sequences = enumerate(self.sequences)
        return rows + [len(self.rows) + place for place, id in sequences if id in kept or not examples.is_enrolled(id)]

    def kept(self, examples: ExampleStore) -> list[int]:
        """Returns the sequence numbers of the examples that were updated during the compaction: they stay enrolled."""
        updated = examples.updated or ()
        return sorted(id for id in updated if id <= self.last_sequence and examples.is_enrolled(id))


def write_compacted_index(
    path: Path, collection_id: str, rows: CompactedRows, vector_type: VectorType, read: Read
) -> Manifest:
    """Writes the new index. Blocks, and uses one thread, so that calls go first.

    Args:
        path: The folder of the new index.
        collection_id: The collection.
        rows: The rows to write; `sequences` is filled.
        vector_type: The type of the stored vectors.
        read: Runs a query of the ledger.

    Raises:
        IndexFolderError: The index cannot be built.
        OSError: The index cannot be written.
    """
    # The whole module would need pyarrow otherwise, and a server without an index has none.
    from glimpse.index import write_index

    manifest = rows.old.index.manifest
    header = Header(
        backbone=manifest.backbone,
        embedding_space=manifest.embedding_space,
        dimension=manifest.dimension,
        vector_type=vector_type,
        rebuild=f"glimpse index compact --collection {collection_id}",
    )
    factory = manifest.index.factory if manifest.index.chosen == GIVEN else None
    return write_index(path, _tables(collection_id, rows, vector_type, read), header, factory=factory, threads=1)


def _tables(collection_id: str, rows: CompactedRows, vector_type: VectorType, read: Read) -> Iterator["pa.Table"]:
    """Yields the rows in small tables."""
    index = rows.old.index
    present: Mask = np.zeros(len(index), bool)
    present[rows.rows] = True
    for table in index.tables(present):
        yield _with_time(table, rows.old.record.time)
    after = 0
    while after < rows.last_sequence:
        batch = read(lambda ledger, after=after: _batch(ledger, collection_id, after, rows.last_sequence))  # type: ignore[misc]
        if not batch:
            return
        after = batch[-1].sequence
        rows.sequences += [example.sequence for example in batch]
        yield _table(batch, vector_type)


def _with_time(table: "pa.Table", create_time: int) -> "pa.Table":
    """Adds the creation time, in microseconds, to rows that have none."""
    rows = [json.loads(text or "{}") for text in table["about"].to_pylist()]
    about = [json.dumps({"time": create_time} | (row if isinstance(row, dict) else {})) for row in rows]
    return table.set_column(table.schema.get_field_index("about"), table.schema.field("about"), [about])


def _batch(ledger: Ledger, collection_id: str, after: int, last: int) -> list[ExampleRecord]:
    examples = ledger.examples(collection_id, after=after, limit=_BATCH)
    return list(itertools.takewhile(lambda example: example.sequence <= last, examples))


def _table(examples: list[ExampleRecord], vector_type: VectorType) -> "pa.Table":
    from glimpse.index import rows_table

    about = [json.dumps(_about(example)) for example in examples]
    return rows_table(
        [example.id for example in examples],
        [example.label_id for example in examples],
        [example.domain or None for example in examples],
        [example.metadata.get("file", "") for example in examples],
        [bytes.fromhex(example.content_digest.removeprefix("sha256:")) for example in examples],
        np.frombuffer(b"".join(example.vector for example in examples), "<f4").reshape(len(examples), -1),
        vector_type,
        about,
    )


def _about(example: ExampleRecord) -> dict[str, object]:
    """Returns the values of an example that have no column of their own in an index."""
    about: dict[str, object] = {
        "metadata": example.metadata,
        "modality": _MODALITY_NAMES.get(example.modality),
        "time": example.create_time,
        "space": example.embedding_space,
    }
    return about | ({"group": example.group} if example.group else {})
