"""The review queue of a ledger: what waits, what is kept, and what is deleted. All calls block."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Connection, Engine, exists, func, select

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.database.database import available
from glimpse.ledger.database.deleted_bytes import erase, zeroing
from glimpse.ledger.database.transactions import now_microseconds
from glimpse.ledger.review.batches import add_batch
from glimpse.ledger.review.contents import read_contents
from glimpse.ledger.review.deletion import CONTENT_TABLES, PART_AGE, delete_all, delete_due, delete_lost_parts, repeat
from glimpse.ledger.review.figures import read_activity, read_usage
from glimpse.ledger.review.records import (
    MAX_BATCH_BYTES,
    ReviewActivity,
    ReviewAdded,
    ReviewBatch,
    ReviewDeleted,
    ReviewItem,
    ReviewSample,
    ReviewUsage,
)
from glimpse.ledger.review.resolution import ResolutionKind, ReviewResolution
from glimpse.ledger.review.rows import item_record, sample_record, select_items, waiting
from glimpse.ledger.review.vectors import replace_vectors, select_other_spaces

_Opens = Callable[[], AbstractContextManager[Connection]]
_items, _samples = schema.review_items.c, schema.review_samples.c
_resolutions = schema.review_resolutions.c


class ReviewQueue:
    """The queue of every collection. Thread-safe. No call takes the ledger's head.

    Every method raises LedgerUnavailable if the database is unreachable.
    """

    def __init__(self, engine: Engine, reading: _Opens, writing: _Opens) -> None:
        self._engine, self._reading, self._opens = engine, reading, writing

    def add(self, batches: Sequence[ReviewBatch]) -> list[ReviewAdded]:
        """Adds to the queues of several collections in one transaction.

        An item whose parts are not all there is not added. Samples beyond the most are deleted, greatest keys first.

        Args:
            batches: one for each collection.

        Returns:
            The result of each batch.

        Raises:
            ValueError: the batches have more than 1 MiB together, or two are of one collection.
        """
        _check_size(sum(batch.size for batch in batches))
        ordered = sorted(batches, key=lambda batch: batch.collection_id)
        if len({batch.collection_id for batch in batches}) < len(batches):
            raise ValueError("two batches are of one collection")
        with self._writing() as connection:
            now = now_microseconds()
            added = {batch.collection_id: add_batch(connection, batch, now) for batch in ordered}
        return [added[batch.collection_id] for batch in batches]

    def waiting(
        self, collection_id: str, *, after: int = 0, limit: int = 1_000, vectors: bool = False
    ) -> list[ReviewItem]:
        """Returns items that wait and have not expired, in the order of their sequence numbers.

        A number can become visible after a greater one; a caller that follows the queue must read it from the start.

        Args:
            collection_id: the collection.
            after: skip items up to this sequence number.
            limit: at most this many.
            vectors: also read the vectors.
        """
        query = select_items(collection_id, vectors=vectors).where(waiting(now_microseconds()))
        query = query.where(_items.sequence > after).order_by(_items.sequence).limit(limit)
        with self._reading() as connection:
            return list(map(item_record, connection.execute(query)))

    def items(self, collection_id: str, item_ids: Collection[str]) -> dict[str, ReviewItem]:
        """Returns items by id with their vectors, waiting or resolved. Those that are due for deletion are missing."""
        records: dict[str, ReviewItem] = {}
        query = select_items(collection_id, vectors=True).where(_items.delete_time > now_microseconds())
        with self._reading() as connection:
            for some in batches(item_ids):
                rows = connection.execute(query.where(_items.id.in_(some)))
                records |= {row.id: item_record(row) for row in rows}
        return records

    def contents(self, collection_id: str, item_ids: Sequence[str], max_bytes: int) -> dict[str, bytes]:
        """Returns the kept inputs of items, in the order of the ids, as far as they have `max_bytes` together.

        One that no longer fits is left out; smaller ones after it are not.
        """
        with self._reading() as connection:
            return read_contents(connection, collection_id, item_ids, max_bytes)

    def counts(self, collection_id: str) -> dict[int, int]:
        """Returns how many items wait, by decision. Expired ones count until they are deleted."""
        query = select(_items.decision, func.count().label("number"))
        query = query.where(_items.collection_id == collection_id, _items.resolution_id.is_(None))
        with self._reading() as connection:
            return {row.decision: row.number for row in connection.execute(query.group_by(_items.decision))}

    def usage(self) -> list[ReviewUsage]:
        """Returns what every caller's items take in every collection. A vector counts as one of the collection."""
        with self._reading() as connection:
            return read_usage(connection)

    def samples(self, collection_id: str) -> list[ReviewSample]:
        """Returns a collection's sample of queries, least keys first."""
        query = select(schema.review_samples).where(_samples.collection_id == collection_id).order_by(_samples.key)
        with self._reading() as connection:
            return list(map(sample_record, connection.execute(query)))

    def activity(self, collection_id: str, since: int) -> ReviewActivity:
        """Returns what happened since a time. Dropped items are counted by the hour, from the hour of that time."""
        with self._reading() as connection:
            return read_activity(connection, collection_id, since)

    def resolution(self, collection_id: str, resolution_id: str) -> ReviewResolution | None:
        """Returns a resolution, or None."""
        columns = [column for column in _resolutions if column.name in ReviewResolution.__slots__]
        query = select(*columns).where(_resolutions.collection_id == collection_id, _resolutions.id == resolution_id)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return ReviewResolution(**{**row._mapping, "kind": ResolutionKind(row.kind)}) if row else None

    def is_answered(self, collection_id: str, request_id: str) -> bool:
        """Returns whether a request to resolve items was answered before, and its response is stored."""
        this = (_resolutions.collection_id == collection_id, _resolutions.request_id == request_id)
        with self._reading() as connection:
            return bool(connection.scalar(select(exists().where(*this))))

    def of_other_spaces(
        self, collection_id: str, embedding_space: str, *, after: int = 0, limit: int = 100
    ) -> list[ReviewItem]:
        """Returns waiting items with a kept input whose vectors are not of this space; see `waiting`."""
        query = select_other_spaces(collection_id, embedding_space, now_microseconds())
        query = query.where(_items.sequence > after).order_by(_items.sequence).limit(limit)
        with self._reading() as connection:
            return list(map(item_record, connection.execute(query)))

    def store_vectors(self, collection_id: str, embedding_space: str, vectors: Mapping[str, bytes]) -> int:
        """Stores vectors of another space for waiting items, by id. Returns how many of them still wait.

        Raises:
            ValueError: the vectors have more than 1 MiB together.
        """
        _check_size(sum(map(len, vectors.values())))
        with self._writing() as connection:
            return replace_vectors(connection, collection_id, embedding_space, vectors)

    def delete_expired(self, now: int) -> ReviewDeleted:
        """Deletes what is due at a time, in transactions of bounded size, from the files too; see `erase`.

        These are items at their expiry or a day after their resolution, and samples at their expiry. Stored responses
        are deleted after a week, the rest of a resolution after a year.
        """
        deleted = delete_due(self._writing, now)
        if deleted.items or deleted.samples or self._engine.dialect.name == "sqlite":  # batches have deleted items too
            with available():
                erase(self._engine, CONTENT_TABLES)
        return deleted

    def purge(self, collection_id: str) -> ReviewDeleted:
        """Deletes every item, input and sample of a collection, from the files too; see `erase`.

        Batches of other servers that are under way are waited for. Remove the review policy first: then nothing is
        added later.
        """
        deleted = delete_all(self._writing, collection_id)
        with available():
            erase(self._engine, CONTENT_TABLES)
        return deleted

    def delete_lost_parts(self, *, all_of_them: bool = False) -> int:
        """Deletes parts of inputs whose items were never written, because their server stopped. Returns how many.

        Args:
            all_of_them: no server is writing; otherwise only parts older than an hour are deleted.
        """
        before = None if all_of_them else now_microseconds() - PART_AGE
        number = repeat(self._writing, lambda connection: delete_lost_parts(connection, before))
        if number:
            with available():
                erase(self._engine, CONTENT_TABLES)
        return number

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Opens a write transaction whose deletions overwrite what they delete."""
        with available(), self._opens() as connection, zeroing(connection):
            yield connection


def _check_size(size: int) -> None:
    """Raises ValueError if a batch is too large for one short transaction."""
    if size > MAX_BATCH_BYTES:
        raise ValueError(f"a batch of {size:,} bytes; the most are {MAX_BATCH_BYTES:,}")
