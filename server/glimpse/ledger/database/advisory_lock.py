"""Work that one of several servers does: an advisory lock of PostgreSQL, which ends with the connection."""

import zlib
from contextlib import suppress
from typing import Self

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from glimpse.ledger.database.database import available

# Ours alone; the second number tells what is claimed.
_KIND = 0x676C


class AdvisoryLock:
    """Held until it is released. A SQLite ledger has one server, which holds whatever it claims."""

    def __init__(self, connection: Connection | None) -> None:
        self._connection = connection

    @classmethod
    def take(cls, engine: Engine, what: str) -> Self | None:
        """None: another has it. Raises LedgerUnavailable."""
        if engine.dialect.name != "postgresql":
            return cls(None)
        with available():
            connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                query = text("SELECT pg_try_advisory_lock(:kind, :what)")
                number = zlib.crc32(what.encode()) - (1 << 31)
                if connection.scalar(query, {"kind": _KIND, "what": number}):
                    return cls(connection)
            except BaseException:
                connection.close()
                raise
        connection.close()
        return None

    def release(self) -> None:
        """Lets another have it."""
        if self._connection is not None:
            with suppress(DBAPIError):  # gone, and the lock with it
                self._connection.execute(text("SELECT pg_advisory_unlock_all()"))
            self._connection.close()
