"""How every write is one transaction that appends one change."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, insert, update

from glimpse.ledger import schema
from glimpse.ledger.enrollment import new_key
from glimpse.ledger.errors import NotFound


class Changes:
    """The append-only sequence that a ledger is."""

    _engine: Engine

    @contextmanager
    def _change(
        self, kind: str, collection_id: str, subject: dict[str, Any] | None = None
    ) -> Iterator[tuple[Connection, int, int]]:
        """One transaction with one change appended: yields the connection, the revision and the time."""
        with self._engine.begin() as connection:
            now = present()
            yield connection, self._append(connection, kind, collection_id, subject or {}, now), now

    def _append(self, connection: Connection, kind: str, collection_id: str, subject: dict[str, Any], now: int) -> int:
        result = connection.execute(
            insert(schema.changes).values(kind=kind, collection_id=collection_id, subject=subject, time=now)
        )
        revision = new_key(result)
        connection.execute(
            update(schema.collections).where(schema.collections.c.id == collection_id).values(revision=revision)
        )
        return revision

    @staticmethod
    def _must_touch(rowcount: int, what: str) -> None:
        if rowcount != 1:
            raise NotFound(f"there is no {what}")


def present() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000
