"""A query that is kept for review, between its answer and the ledger."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from glimpse.backbone import Region
from glimpse.ledger import ReviewContentPart, ReviewItem, ReviewSample
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.review_policy import keep_days
from glimpse.server.inference.regions import content_digest

#: The id of a collection, which another one can get, and its creation time.
CollectionKey = tuple[str, int]
#: The largest input that is kept; of a larger one only the vector is.
MAX_CONTENT_BYTES = 16 << 20
#: Bytes of one part of a kept input: a batch of 1 MiB has room for it and for the item.
PART_BYTES = (1 << 20) - (64 << 10)
# Bytes that a query is counted for beside its input and its vector: a row of its own, and one of its input.
_ROW_BYTES = 768
_DAY = 86_400_000_000


@dataclass(slots=True, eq=False)
class KeptQuery:
    """A query in the buffer. Times are microseconds since the epoch.

    Attributes:
        view: The collection that answered.
        caller: Name of the caller's key.
        fairness_key: The caller in the buffer: an anonymous one is its connection.
        modality: Number of the contract's enum.
        content: The image, the text, or the bytes of the vector that the caller sent. Of an image with a region, the
            whole image until `crop` is called, and then the region as a PNG.
        vector: float32, little-endian, of length 1.
        decision: Number of the contract's enum.
        time: When it was answered.
        is_item: Whether it may become an item, which is not decided yet.
        key: Its place in the sample of queries; None if it is not sampled.
        weight: How many queries it stands for in the sample.
        release: Ends the counting of its memory.
        item_id: The item that it became, or that was counted again for it.
        region: The part of the image that was asked about; None for all of it.
        digest: The content digest of a query whose content was cropped; empty for others.
    """

    view: CollectionView
    caller: str
    fairness_key: str
    modality: int
    content: bytes
    vector: bytes
    embedding_space: str
    decision: int
    label_id: str
    probability: float
    uncertainty: float
    domain: str
    time: int
    is_item: bool
    key: float | None
    weight: float
    keeps_content: bool
    release: Callable[[], None] = field(default=lambda: None)
    item_id: str = ""
    region: Region | None = None
    digest: str = ""

    @property
    def waits_for_crop(self) -> bool:
        """True if its image is kept and not cropped yet."""
        return self.is_item and self.keeps_content and self.region is not None and not self.digest

    def crop(self, content: bytes) -> None:
        """Replaces the image by its region as a PNG; only the vector is kept if that has too many bytes, or none."""
        self.digest = content_digest(self.content, self.region)
        self.content, self.keeps_content = content, 0 < len(content) <= MAX_CONTENT_BYTES

    @property
    def collection(self) -> CollectionKey:
        """The collection that answered."""
        return self.view.record.id, self.view.record.create_time

    @property
    def held_bytes(self) -> int:
        """The memory that it is counted for."""
        return len(self.content) + len(self.vector) + _ROW_BYTES

    @property
    def content_bytes(self) -> int:
        """The bytes of its input that the ledger keeps; 0 if only the vector is kept."""
        return len(self.content) if self.keeps_content else 0

    @property
    def row_bytes(self) -> int:
        """An upper bound of the bytes of its row in a batch, without its input."""
        return len(self.vector) + _ROW_BYTES + 4 * (len(self.domain) + len(self.label_id) + len(self.caller))

    @property
    def written_bytes(self) -> int:
        """An upper bound of the bytes that it takes in a batch as an item."""
        return self.content_bytes + self.row_bytes

    @property
    def expire_time(self) -> int:
        """When it is deleted."""
        return self.time + keep_days(self.view.record) * _DAY

    def item(self) -> ReviewItem:
        """Returns the query as a new item, and notes its id."""
        self.item_id = secrets.token_hex(8)
        return ReviewItem(
            self.item_id,
            self.decision,
            self.label_id,
            self.probability,
            self.uncertainty,
            self.modality,
            self.digest or content_digest(self.content, self.region),
            self.vector,
            self.embedding_space,
            self.time,
            self.time,
            self.expire_time,
            self.content_bytes,
            caller=self.caller,
            domain=self.domain,
        )

    def done(self) -> None:
        """Ends the counting of its memory, and frees its input: it may wait for the sample."""
        self.release()
        self.content, self.is_item = b"", False

    def parts(self) -> list[ReviewContentPart]:
        """Returns the input of the item in parts; none if only the vector is kept."""
        starts = range(0, self.content_bytes, PART_BYTES)
        pieces = (self.content[start : start + PART_BYTES] for start in starts)
        return [ReviewContentPart(self.item_id, part, piece) for part, piece in enumerate(pieces)]

    def sample(self) -> ReviewSample | None:
        """Returns the query as a row of the sample; None if it is not sampled."""
        if self.key is None:
            return None
        return ReviewSample(
            secrets.token_hex(8),
            self.decision,
            self.label_id,
            self.probability,
            self.weight,
            self.key,
            self.vector,
            self.embedding_space,
            self.time,
            self.expire_time,
            self.item_id,
        )
