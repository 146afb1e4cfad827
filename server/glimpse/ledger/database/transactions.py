"""How every write appends one change, in a transaction that holds the ledger's head."""

import time
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, bindparam, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from glimpse.ledger.changes.hash_chain import link
from glimpse.ledger.database import schema
from glimpse.ledger.database.database import WRITING, available
from glimpse.ledger.database.database_file import check_file
from glimpse.ledger.errors import NotFound
from glimpse.ledger.records import Change, Head

#: What listeners of PostgreSQL's NOTIFY hear of.
CHANNEL: Final = "glimpse"


class Transaction:
    """One transaction, `with Writing(engine) as writer:`. Meanwhile nobody else writes; at its end all is durable.

    Raises LedgerUnavailable.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._appended: list[Change] = []
        self.actor = ""

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
                    check_file(self.connection)  # what went into a file without a name is not acknowledged
            finally:
                self.connection.close()  # which rolls back what was not committed
            if isinstance(error, DBAPIError | UnicodeEncodeError):
                raise error

    @property
    def touched(self) -> set[str]:
        """The collections that were changed."""
        return {change.collection_id for change in self._appended if change.collection_id}

    def next_sequence(self) -> int:
        """A number for another example."""
        self.head = Head(self.head.ledger_id, self.head.revision, self.head.digest, self.head.sequence + 1)
        return self.head.sequence

    def append(self, kind: str, collection_id: str, subject: dict[str, Any] | None = None) -> int:
        """One more change; returns its revision."""
        subject, head = subject or {}, self.head
        revision = head.revision + 1
        digest = link(head.digest, revision, kind, collection_id, subject, self.now, self.actor)
        self._appended.append(Change(revision, kind, collection_id, subject, self.now, self.actor, digest))
        self.head = Head(head.ledger_id, revision, digest, head.sequence)
        return revision

    def require_one_row(self, rowcount: int, what: str) -> None:
        """Raises NotFound where a statement found nothing to change."""
        if rowcount != 1:
            raise NotFound(f"there is no {what}")

    def _store(self) -> None:
        """What was appended, all at once."""
        rows = [{name: getattr(one, name) for name in Change.__slots__} for one in self._appended]
        if rows:
            self.connection.execute(insert(schema.changes), rows)
        of_collections = {one.collection_id: one.revision for one in self._appended if one.collection_id}
        if of_collections:
            there = schema.collections
            self.connection.execute(
                update(there).where(there.c.id == bindparam("which")).values(revision=bindparam("last")),
                [{"which": name, "last": revision} for name, revision in of_collections.items()],
            )
        head = self.head
        self.connection.execute(
            update(schema.head).values(revision=head.revision, digest=head.digest, sequence=head.sequence)
        )
        if self.connection.dialect.name == "postgresql":
            told = text("SELECT pg_notify(:channel, :revision)")
            self.connection.execute(told, {"channel": CHANNEL, "revision": str(head.revision)})


def read_head(connection: Connection, *, lock: bool = False) -> Head:
    """Where the ledger stands. `lock`: so that it stays there until the transaction ends."""
    query = select(schema.head)
    row = connection.execute(query.with_for_update() if lock else query).one()
    return Head(row.ledger_id, row.revision, row.digest, row.sequence)


def now_microseconds() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000
