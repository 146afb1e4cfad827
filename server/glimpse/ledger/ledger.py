"""The ledger: reads, and transactions for writes. All calls block; a server makes them in threads."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, Row, select

from glimpse.ledger.changes import attachments
from glimpse.ledger.changes.change_feed import read_delta, read_digest
from glimpse.ledger.database import schema
from glimpse.ledger.database.advisory_lock import AdvisoryLock
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.database.database import FOLLOWING, WRITING, available, check_folder, open_engine
from glimpse.ledger.database.database_file import LedgerLock, check_single_name
from glimpse.ledger.database.row_mapping import change_record, example_record, label_record
from glimpse.ledger.database.transactions import read_head
from glimpse.ledger.database.url import parse_url, translate_open_errors
from glimpse.ledger.errors import NotFound
from glimpse.ledger.records import (
    AttachmentRecord,
    Change,
    CollectionRecord,
    Delta,
    EnrollRequest,
    ExampleRecord,
    Head,
    LabelRecord,
    ReembeddingRecord,
)
from glimpse.ledger.reembedding.reads import ReembeddingReader, find_reembedding, select_examples
from glimpse.ledger.review.queue import ReviewQueue
from glimpse.ledger.writes import decision_counts, keys, originals
from glimpse.ledger.writes.decision_counts import DecisionCount
from glimpse.ledger.writes.enrollment import delete_expired_responses, stored_response_of
from glimpse.ledger.writes.keys import KeyRecord
from glimpse.ledger.writes.originals import Original
from glimpse.ledger.writes.writer import Writer

# Rows fetched at a time when a collection is loaded; this bounds memory.
_READ_AHEAD = 1_000


class Ledger:
    """One ledger database. Thread-safe.

    A read sees what was committed when it begins. Every method raises LedgerUnavailable if the database is unreachable.
    """

    def __init__(self, engine: Engine, lock: LedgerLock | None = None) -> None:
        self._engine, self._lock = engine, lock
        self.shared: Final = engine.dialect.name == "postgresql"

    @classmethod
    def open(cls, url: str, *, exclusive: bool = False) -> Self:
        """Opens the ledger at a URL. Creates it on first use and migrates an older schema.

        Args:
            url: `sqlite:///FILE` or `postgresql+psycopg://…`.
            exclusive: hold a SQLite file until `close`, as a server does. No effect with PostgreSQL, which serves any
                number of servers.

        Raises:
            LedgerInUse: another process holds the file, by any of its names.
            LedgerError: the ledger cannot be opened.
        """
        parsed = parse_url(url)
        check_folder(parsed)
        if not exclusive:
            check_single_name(parsed)
        lock = LedgerLock.take(parsed) if exclusive else None
        try:
            ledger = cls(open_engine(parsed), lock)
        except BaseException:
            if lock:
                lock.release()
            raise
        try:
            with translate_open_errors(parsed), ledger._writing() as connection:
                delete_expired_responses(connection)
            # With PostgreSQL, other servers may be writing inputs.
            ledger.review.delete_lost_parts(all_of_them=lock is not None)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def close(self) -> None:
        """Closes the database connections and releases the file."""
        self._engine.dispose()
        if self._lock:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self) -> Writer:
        """Returns a transaction for writes: `with ledger.begin() as writer:`."""
        return Writer(self._engine)

    @property
    def url(self) -> str:
        """The URL of the database, with its password."""
        return self._engine.url.render_as_string(hide_password=False)

    def head(self) -> Head:
        """Returns the ledger's head. Raises LedgerReplaced."""
        with self._reading(once=True, follow=True) as connection:
            return read_head(connection)

    def changes(self, after: int = 0) -> Iterator[Change]:
        """Yields the changes after a revision, in order."""
        query = select(schema.changes).where(schema.changes.c.revision > after).order_by(schema.changes.c.revision)
        with self._reading() as connection:
            rows = connection.execute(query.execution_options(yield_per=_READ_AHEAD))
            yield from map(change_record, rows)

    def since(self, revision: int, collection_id: str | None = None) -> Delta:
        """Returns the changes after a revision, at most 200 of them, with the current state of what they name.

        Args:
            revision: the last revision that is known.
            collection_id: only changes of this collection; None for all.

        Raises:
            LedgerReplaced: the ledger's file is another one.
        """
        with self._reading(follow=True) as connection:
            return read_delta(connection, revision, collection_id)

    def digest(self, revision: int) -> str:
        """Returns the digest of all changes up to a revision; that of no change if there is no such revision."""
        with self._reading(once=True) as connection:
            return read_digest(connection, revision)

    def collections(self) -> list[CollectionRecord]:
        """Returns every collection, ordered by id."""
        with self._reading() as connection:
            rows = connection.execute(select(schema.collections))
            return sorted((CollectionRecord(**row._mapping) for row in rows), key=lambda record: record.id)

    def collection(self, collection_id: str) -> CollectionRecord | None:
        """Returns a collection, or None."""
        query = select(schema.collections).where(schema.collections.c.id == collection_id)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return CollectionRecord(**row._mapping) if row else None

    def labels(self, collection_id: str) -> list[LabelRecord]:
        """Returns every label of a collection, ordered by id."""
        with self._reading() as connection:
            rows = connection.execute(select(schema.labels).where(schema.labels.c.collection_id == collection_id))
            return sorted(map(label_record, rows), key=lambda record: record.id)

    def example(self, collection_id: str, example_id: str) -> ExampleRecord:
        """Returns an example. Raises NotFound."""
        columns = schema.examples.c
        query = select_examples().where(columns.collection_id == collection_id, columns.id == example_id)
        with self._reading(once=True) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"there is no example {example_id!r}")
        return example_record(row)

    def holds_any(self, collection_id: str, content_digests: Sequence[str]) -> bool:
        """Returns whether a collection has an example of one of these contents."""
        columns = schema.examples.c
        query = select(columns.id).where(columns.collection_id == collection_id).limit(1)
        with self._reading() as connection:
            return any(
                connection.execute(query.where(columns.content_digest.in_(some))).first()
                for some in batches(content_digests)
            )

    def examples(
        self,
        collection_id: str,
        *,
        after: int = 0,
        limit: int | None = None,
        label_id: str | None = None,
        ahead: int = _READ_AHEAD,
    ) -> Iterator[ExampleRecord]:
        """Yields a collection's examples in the order of enrolment.

        Args:
            after: skip examples up to this sequence number.
            limit: at most this many; None for all.
            label_id: only examples of this label.
            ahead: rows to fetch at a time.
        """
        query = (
            select_examples()
            .where(schema.examples.c.collection_id == collection_id, schema.examples.c.sequence > after)
            .order_by(schema.examples.c.sequence)
            .limit(limit)
        )
        if label_id is not None:
            query = query.where(schema.examples.c.label_id == label_id)
        with self._reading() as connection:
            rows: Iterator[Row[Any]] = iter(connection.execute(query.execution_options(yield_per=ahead)))
            yield from map(example_record, rows)

    def originals(self, collection_id: str, example_ids: Sequence[str]) -> dict[str, Original]:
        """Returns the stored inputs of enrolled examples by id, without their bytes."""
        with self._reading() as connection:
            return originals.find(connection, collection_id, example_ids)

    def original_contents(self, collection_id: str, digests: Sequence[str]) -> dict[str, bytes]:
        """Returns the bytes of stored inputs by content digest."""
        with self._reading() as connection:
            return originals.read(connection, collection_id, digests)

    def attachment(self, collection_id: str) -> tuple[AttachmentRecord, list[int]] | None:
        """Returns a collection's index and its deleted rows, ascending; None without an index."""
        with self._reading() as connection:
            record = attachments.find(connection, collection_id)
            return (record, attachments.deleted_rows(connection, collection_id)) if record else None

    @contextmanager
    def reembedding(self, collection_id: str, switches: int) -> Iterator[ReembeddingReader]:
        """Opens a consistent read of a re-embedding. Raises NotFound if its number of switches is another."""
        with self._reading() as connection:
            yield ReembeddingReader(connection, collection_id, switches)

    def reembedding_record(self, collection_id: str) -> ReembeddingRecord | None:
        """Returns a collection's re-embedding, or None."""
        with self._reading() as connection:
            return find_reembedding(connection, collection_id)

    @contextmanager
    def consistent_view(self) -> Iterator["Ledger"]:
        """Yields a ledger whose reads all see the same state."""
        with self._reading() as connection:
            yield _TransactionView(self._engine, connection)

    def try_lock(self, name: str) -> AdvisoryLock | None:
        """Takes the right to do some work alone among servers; None if another server has it.

        The lock ends with the process and when the database connection is lost. Work under it must therefore tolerate a
        second worker.

        Args:
            name: the name of the work.
        """
        return AdvisoryLock.take(self._engine, name)

    def stored_response(self, collection_id: str, request: EnrollRequest) -> bytes | None:
        """Returns the stored response to a request, or None. Raises RequestIdReused."""
        with self._reading(once=True) as connection:
            return stored_response_of(connection, collection_id, request)

    def delete_expired_requests(self) -> None:
        """Deletes stored responses that are more than a week old."""
        with available(), self._writing() as connection:
            delete_expired_responses(connection)

    @property
    def review(self) -> ReviewQueue:
        """The review queue."""
        return ReviewQueue(self._engine, self._reading, self._writing)

    def add_decisions(self, counts: Sequence[DecisionCount]) -> None:
        """Adds numbers of decisions, one for each collection and day. Makes no change, and does not lock the head."""
        with available(), self._writing() as connection:
            decision_counts.add(connection, counts)

    def delete_decisions_before(self, day: int) -> None:
        """Deletes the numbers of decisions of the days before a day, in days since the epoch."""
        with available(), self._writing() as connection:
            decision_counts.delete_before(connection, day)

    def decisions(self, collection_id: str, first_day: int) -> list[DecisionCount]:
        """Returns a collection's numbers of decisions from a day on, in days since the epoch, ordered by day."""
        with self._reading(once=True) as connection:
            return decision_counts.read(connection, collection_id, first_day)

    def keys(self) -> list[KeyRecord]:
        """Returns every API key, oldest first, including revoked ones."""
        with self._reading() as connection:
            return keys.list_keys(connection)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Opens a write transaction that does not change the head."""
        with self._engine.connect().execution_options(**{WRITING: True}) as connection, connection.begin():
            yield connection

    @contextmanager
    def _reading(self, *, once: bool = False, follow: bool = False) -> Iterator[Connection]:
        """Opens a transaction whose reads all see the same state.

        Args:
            once: a single read, which needs no transaction.
            follow: refuse a file that is no longer the ledger's. Other reads go on.
        """
        with available(), self._engine.connect() as connection:
            if follow:
                connection.execution_options(**{FOLLOWING: True})
            if self.shared:
                connection.execution_options(isolation_level="AUTOCOMMIT" if once else "REPEATABLE READ")
            yield connection


class _TransactionView(Ledger):
    """The view of one transaction."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        super().__init__(engine)
        self._connection = connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Opens a write transaction that does not change the head."""
        with self._engine.connect().execution_options(**{WRITING: True}) as connection, connection.begin():
            yield connection

    @contextmanager
    def _reading(self, *, once: bool = False, follow: bool = False) -> Iterator[Connection]:
        with available():
            yield self._connection
