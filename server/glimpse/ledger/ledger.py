"""The ledger: its reads, and the way to write. Blocking; a server calls it from threads of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, Row, select

from glimpse.ledger.changes import attachments
from glimpse.ledger.changes.change_feed import read_delta, read_digest
from glimpse.ledger.database import schema
from glimpse.ledger.database.advisory_lock import AdvisoryLock
from glimpse.ledger.database.database import FOLLOWING, WRITING, available, check_folder, open_engine
from glimpse.ledger.database.database_file import LedgerLock, check_single_name
from glimpse.ledger.database.row_mapping import change_record, example_record, label_record
from glimpse.ledger.database.transactions import read_head
from glimpse.ledger.database.url import parse_url, told
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
from glimpse.ledger.writes import keys
from glimpse.ledger.writes.enrollment import delete_expired_responses, stored_response_of
from glimpse.ledger.writes.keys import KeyRecord
from glimpse.ledger.writes.writer import Writer

# Rows read at a time when a collection is loaded: bounds memory, not speed.
_READ_AHEAD = 1_000


class Ledger:
    """One database. Reads see what was committed when they begin; all raise LedgerUnavailable. Thread-safe."""

    def __init__(self, engine: Engine, lock: LedgerLock | None = None) -> None:
        self._engine, self._lock = engine, lock
        self.shared: Final = engine.dialect.name == "postgresql"

    @classmethod
    def open(cls, url: str, *, exclusive: bool = False) -> Self:
        """Opens, and on first use makes, the ledger of a URL; migrates an older one. Raises LedgerError.

        Args:
            url: of SQLite or PostgreSQL.
            alone: hold a SQLite ledger's file, as a server does, until `close`; raises LedgerInUse where another
                process holds it, by whatever name. PostgreSQL takes any number of servers.
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
            with told(parsed), ledger._writing() as connection:
                delete_expired_responses(connection)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def close(self) -> None:
        """Closes the database's connections."""
        self._engine.dispose()
        if self._lock:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def begin(self) -> Writer:
        """A transaction to write in: `with ledger.begin() as writer:`."""
        return Writer(self._engine)

    @property
    def url(self) -> str:
        """Of the database, with its password."""
        return self._engine.url.render_as_string(hide_password=False)

    def head(self) -> Head:
        """Where it stands. Raises LedgerReplaced."""
        with self._reading(once=True, follow=True) as connection:
            return read_head(connection)

    def changes(self, after: int = 0) -> Iterator[Change]:
        """The changes after a revision, in order."""
        query = select(schema.changes).where(schema.changes.c.revision > after).order_by(schema.changes.c.revision)
        with self._reading() as connection:
            rows = connection.execute(query.execution_options(yield_per=_READ_AHEAD))
            yield from map(change_record, rows)

    def since(self, revision: int, collection_id: str | None = None) -> Delta:
        """What came after a revision, of all or of one collection: some hundreds of changes at most; none: nothing.

        Raises LedgerReplaced.
        """
        with self._reading(follow=True) as connection:
            return read_delta(connection, revision, collection_id)

    def digest(self, revision: int) -> str:
        """What stands for all changes up to a revision's; that of no change where there is no such revision."""
        with self._reading(once=True) as connection:
            return read_digest(connection, revision)

    def collections(self) -> list[CollectionRecord]:
        """Every collection, by id."""
        with self._reading() as connection:
            rows = connection.execute(select(schema.collections))
            return sorted((CollectionRecord(**row._mapping) for row in rows), key=lambda one: one.id)

    def collection(self, collection_id: str) -> CollectionRecord | None:
        """One collection, or None."""
        query = select(schema.collections).where(schema.collections.c.id == collection_id)
        with self._reading() as connection:
            row = connection.execute(query).first()
        return CollectionRecord(**row._mapping) if row else None

    def labels(self, collection_id: str) -> list[LabelRecord]:
        """Every label of a collection, by id."""
        with self._reading() as connection:
            rows = connection.execute(select(schema.labels).where(schema.labels.c.collection_id == collection_id))
            return sorted(map(label_record, rows), key=lambda one: one.id)

    def example(self, collection_id: str, example_id: str) -> ExampleRecord:
        """One example. Raises NotFound."""
        there = schema.examples.c
        query = select_examples().where(there.collection_id == collection_id, there.id == example_id)
        with self._reading(once=True) as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"there is no example {example_id!r}")
        return example_record(row)

    def examples(
        self,
        collection_id: str,
        *,
        after: int = 0,
        limit: int | None = None,
        label_id: str | None = None,
        ahead: int = _READ_AHEAD,
    ) -> Iterator[ExampleRecord]:
        """A collection's examples in the order of their enrolment, from after a sequence number on.

        Holds `ahead` of them at a time.
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

    def attachment(self, collection_id: str) -> tuple[AttachmentRecord, list[int]] | None:
        """The index of a collection and its deleted rows, ascending; None: it has none."""
        with self._reading() as connection:
            record = attachments.find(connection, collection_id)
            return (record, attachments.deleted_rows(connection, collection_id)) if record else None

    @contextmanager
    def reembedding(self, collection_id: str, switches: int) -> Iterator[ReembeddingReader]:
        """What there is of a collection's other side, all of the same moment. Raises NotFound: it has another turn."""
        with self._reading() as connection:
            yield ReembeddingReader(connection, collection_id, switches)

    def reembedding_record(self, collection_id: str) -> ReembeddingRecord | None:
        """The other side of a collection whose backbone changes, or None."""
        with self._reading() as connection:
            return find_reembedding(connection, collection_id)

    @contextmanager
    def consistent_view(self) -> Iterator["Ledger"]:
        """The ledger as it stands: all that is read of what this yields is of the same moment."""
        with self._reading() as connection:
            yield _Moment(self._engine, connection)

    def try_lock(self, what: str) -> AdvisoryLock | None:
        """The right to work on something alone, by whatever name; None while another server has it.

        It ends with the process, and where the database's connection is lost: whoever holds it must be able to bear
        that another comes to do the same.
        """
        return AdvisoryLock.take(self._engine, what)

    def stored_response(self, collection_id: str, request: EnrollRequest) -> bytes | None:
        """What a request was answered before, or None. Raises RequestIdReused."""
        with self._reading(once=True) as connection:
            return stored_response_of(connection, collection_id, request)

    def delete_expired_requests(self) -> None:
        """Forgets the answers to requests that nobody is going to send again."""
        with available(), self._writing() as connection:
            delete_expired_responses(connection)

    def keys(self) -> list[KeyRecord]:
        """Every API key that was made, oldest first, revoked ones too."""
        with self._reading() as connection:
            return keys.list_keys(connection)

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that leaves the head alone."""
        with self._engine.connect().execution_options(**{WRITING: True}) as connection, connection.begin():
            yield connection

    @contextmanager
    def _reading(self, *, once: bool = False, follow: bool = False) -> Iterator[Connection]:
        """A transaction whose reads are all of the same moment.

        Args:
            once: for one read, which needs none.
            follow: only of the file that has the ledger's name now. Other reads go on where that is another.
        """
        with available(), self._engine.connect() as connection:
            if follow:
                connection.execution_options(**{FOLLOWING: True})
            if self.shared:
                connection.execution_options(isolation_level="AUTOCOMMIT" if once else "REPEATABLE READ")
            yield connection


class _Moment(Ledger):
    """One transaction's view."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        super().__init__(engine)
        self._connection = connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that leaves the head alone."""
        with self._engine.connect().execution_options(**{WRITING: True}) as connection, connection.begin():
            yield connection

    @contextmanager
    def _reading(self, *, once: bool = False, follow: bool = False) -> Iterator[Connection]:
        with available():
            yield self._connection
