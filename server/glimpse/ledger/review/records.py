"""The rows of the review queue as immutable records. Times are microseconds since the epoch, UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: The most bytes of a batch, and of a part of a kept input.
MAX_BATCH_BYTES: Final = 1 << 20
#: The most samples of a collection; those with the least keys stay.
MAX_SAMPLES: Final = 2_000
# Bytes that a row is counted for beside its vector, its content and its texts.
_ROW_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A kept query.

    Attributes:
        id: unique in the collection.
        decision: number of the contract's enum.
        label_id: the best label; empty if the collection had none.
        modality: number of the contract's enum.
        content_digest: as that of an example.
        vector: float32 little-endian, length 1; empty if it was not read.
        embedding_space: the vector's space.
        content_bytes: size of the kept input; 0 if only the vector is kept.
        count: queries that it stands for.
        caller: name of the key; empty without authentication.
        last_time: when the newest of these queries came.
        expire_time: when it is deleted if nobody resolves it.
        sequence: number in the order of writing; set by the ledger.
        resolution_id: the resolution; None while the item waits.
        example_id: the example that it was enrolled as; empty if there is none, or none any more.
    """

    id: str
    decision: int
    label_id: str
    probability: float
    uncertainty: float
    modality: int
    content_digest: str
    vector: bytes
    embedding_space: str
    create_time: int
    last_time: int
    expire_time: int
    content_bytes: int = 0
    count: int = 1
    caller: str = ""
    domain: str = ""
    sequence: int = 0
    resolution_id: str | None = None
    example_id: str = ""

    @property
    def size(self) -> int:
        """The bytes that the row is counted for in a batch; its content comes in parts of its own."""
        texts = (self.id, self.label_id, self.content_digest, self.embedding_space, self.caller, self.domain)
        return _ROW_BYTES + len(self.vector) + sum(len(text.encode()) for text in texts)


@dataclass(frozen=True, slots=True)
class ReviewContentPart:
    """A part of a kept input, at most 1 MiB less 1 KiB. Parts are numbered from 0."""

    item_id: str
    part: int
    content: bytes

    @property
    def size(self) -> int:
        """The bytes that the row is counted for in a batch."""
        return _ROW_BYTES + len(self.content)


@dataclass(frozen=True, slots=True)
class ReviewRepeat:
    """Further queries that an item stands for.

    Attributes:
        count: how many more.
        last_time: when the newest of them came.
    """

    item_id: str
    count: int
    last_time: int


@dataclass(frozen=True, slots=True)
class ReviewSample:
    """A query of the sample that stands for all queries of a collection.

    Attributes:
        decision: number of the contract's enum.
        label_id: the best label; empty if the collection had none.
        weight: how many queries it stands for, relative to the others.
        key: those with the least keys are kept. Uniform random keys make a uniform sample of all queries; keys that
            fall with time make one of recent queries.
        vector: float32 little-endian, length 1.
        item_id: the item that was kept of the query, or that it was counted for; empty if there is none.
        resolution_id: the resolution of that item; None if there is none, or the item was skipped.
        resolved_label_id: the label that the resolution gave.
    """

    id: str
    decision: int
    label_id: str
    probability: float
    weight: float
    key: float
    vector: bytes
    embedding_space: str
    create_time: int
    expire_time: int
    item_id: str = ""
    resolution_id: str | None = None
    resolved_label_id: str | None = None

    @property
    def size(self) -> int:
        """The bytes that the row is counted for in a batch."""
        return _ROW_BYTES + len(self.vector) + len(self.embedding_space) + len(self.label_id.encode())


@dataclass(frozen=True, slots=True)
class ReviewBatch:
    """Additions to the queue of one collection, written at once.

    Attributes:
        create_time: creation time of the collection, because another one may get its id; None is not checked.
        items: new items. The parts of an item with content are in this batch or were in earlier ones.
        parts: parts of kept inputs.
        repeats: items that stand for more queries now.
        removed: ids of waiting items that make room.
        samples: new samples.
    """

    collection_id: str
    items: Sequence[ReviewItem] = ()
    parts: Sequence[ReviewContentPart] = ()
    repeats: Sequence[ReviewRepeat] = ()
    removed: Sequence[str] = ()
    samples: Sequence[ReviewSample] = ()
    create_time: int | None = None

    @property
    def size(self) -> int:
        """The bytes that the batch is counted for."""
        rows = sum(row.size for rows in (self.items, self.parts, self.samples) for row in rows)
        return rows + _ROW_BYTES * (len(self.repeats) + len(self.removed))


@dataclass(frozen=True, slots=True)
class ReviewAdded:
    """The result of a batch.

    Attributes:
        item_ids: items that are in the queue now.
        missing: ids of repeats that no longer wait, or have expired; nothing was counted for them.
        kept: False if the collection does not exist, is another one by now, or keeps no queries any more; then nothing
            was added.
    """

    item_ids: Sequence[str] = ()
    missing: Sequence[str] = ()
    kept: bool = True


@dataclass(frozen=True, slots=True)
class ReviewUsage:
    """The number and size of one caller's kept queries in one collection, resolved ones included.

    Attributes:
        items: how many items.
        bytes: bytes of their inputs and vectors.
    """

    collection_id: str
    caller: str
    items: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ReviewActivity:
    """Counts since a time: items that were resolved (and not taken back), and items that expired or made room."""

    resolved: int
    dropped: int


@dataclass(frozen=True, slots=True)
class ReviewDeleted:
    """The numbers of deleted items and samples."""

    items: int
    samples: int
