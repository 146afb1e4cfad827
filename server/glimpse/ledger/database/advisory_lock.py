"""Lets one of several servers do some work alone, by a PostgreSQL advisory lock. It ends with the connection."""

import zlib
from contextlib import suppress
from typing import Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from glimpse.ledger.database.database import available

# The first of the lock's two numbers is this project's; the second is derived from the name of the work.
_KIND = 0x676C


class AdvisoryLock:
    """A lock that is held until `release`. A SQLite ledger has one server, so there every lock succeeds."""

    def __init__(self, connection: Connection | None) -> None:
        self._connection = connection

    @classmethod
    def take(cls, engine: Engine, name: str) -> Self | None:
        """Takes the lock; returns None if another server has it. Raises LedgerUnavailable."""
        if engine.dialect.name != "postgresql":
            return cls(None)
        with available():
            connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                query = text("SELECT pg_try_advisory_lock(:kind, :name)")
                number = zlib.crc32(name.encode()) - (1 << 31)
                if connection.scalar(query, {"kind": _KIND, "name": number}):
                    return cls(connection)
            except BaseException:
                connection.close()
                raise
        connection.close()
        return None

    def release(self) -> None:
        """Releases the lock."""
        if self._connection is not None:
            with suppress(DBAPIError):  # the connection is lost, and the lock with it
                self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
            self._connection.close()
