"""Write transactions: each holds the ledger's head and appends the changes of its writes."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, bindparam, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from glimpse.ledger.changes.hash_chain import link
from glimpse.ledger.database import schema
from glimpse.ledger.database.database import WRITING, available
from glimpse.ledger.database.database_file import check_file
from glimpse.ledger.database.deleted_bytes import erase
from glimpse.ledger.errors import NotFound
from glimpse.ledger.records import Change, Head

#: The channel of PostgreSQL's NOTIFY.
CHANNEL: Final = "glimpse"


class Transaction:
    """One write transaction, used as a context manager. No other writes run during it; at its end it is durable.

    Raises LedgerUnavailable.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._appended: list[Change] = []
        self.actor = ""
        #: Tables whose deleted rows are removed from the files after the commit.
        self.erased: Sequence[str] = ()

    def __enter__(self) -> Self:
        with available():
            self.connection: Connection = self._engine.connect().execution_options(**{WRITING: True})
            try:
                self._transaction = self.connection.begin()
                self.head = self._before = read_head(self.connection, lock=True)
            except BaseException:
                self.connection.close()
                raise
        self.now = now_microseconds()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with available():
            try:
                if kind is None:
                    if self.head != self._before:
                        self._store()
                    self._transaction.commit()
                    check_file(self.connection)  # do not acknowledge a write to a file that lost its name
            finally:
                self.connection.close()  # rolls back if not committed
            if kind is None and self.erased:
                erase(self._engine, self.erased)
            if isinstance(error, DBAPIError | UnicodeEncodeError):
                raise error

    @property
    def touched(self) -> set[str]:
        """The ids of the collections that were changed."""
        return {change.collection_id for change in self._appended if change.collection_id}

    def next_sequence(self) -> int:
        """Returns the number of the next example."""
        self.head = Head(self.head.ledger_id, self.head.revision, self.head.digest, self.head.sequence + 1)
        return self.head.sequence

    def append(self, kind: str, collection_id: str, subject: dict[str, Any] | None = None) -> int:
        """Appends a change; returns its revision."""
        subject, head = subject or {}, self.head
        revision = head.revision + 1
        digest = link(head.digest, revision, kind, collection_id, subject, self.now, self.actor)
        self._appended.append(Change(revision, kind, collection_id, subject, self.now, self.actor, digest))
        self.head = Head(head.ledger_id, revision, digest, head.sequence)
        return revision

    def require_one_row(self, rowcount: int, noun: str) -> None:
        """Raises NotFound if a statement did not change exactly one row."""
        if rowcount != 1:
            raise NotFound(f"there is no {noun}")

    def _store(self) -> None:
        """Stores the appended changes, the collections' revisions and the head."""
        rows = [{name: getattr(change, name) for name in Change.__slots__} for change in self._appended]
        if rows:
            self.connection.execute(insert(schema.changes), rows)
        revisions = {change.collection_id: change.revision for change in self._appended if change.collection_id}
        if revisions:
            table = schema.collections
            self.connection.execute(
                update(table).where(table.c.id == bindparam("which")).values(revision=bindparam("last")),
                [{"which": name, "last": revision} for name, revision in revisions.items()],
            )
        head = self.head
        self.connection.execute(
            update(schema.head).values(revision=head.revision, digest=head.digest, sequence=head.sequence)
        )
        if self.connection.dialect.name == "postgresql":
            notify = text("SELECT pg_notify(:channel, :revision)")
            self.connection.execute(notify, {"channel": CHANNEL, "revision": str(head.revision)})


def read_head(connection: Connection, *, lock: bool = False) -> Head:
    """Reads the head. With `lock` it cannot change until the transaction ends."""
    query = select(schema.head)
    row = connection.execute(query.with_for_update() if lock else query).one()
    return Head(row.ledger_id, row.revision, row.digest, row.sequence)


def now_microseconds() -> int:
    """Returns microseconds since the epoch."""
    return time.time_ns() // 1_000
