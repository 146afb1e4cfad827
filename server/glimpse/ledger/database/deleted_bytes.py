"""Removes the bytes of deleted rows from the files of the database.

SQLite zeroes what a statement deletes while `zeroing` is on, and the write-ahead log, which still has the rows as they
were written, is emptied afterwards. In PostgreSQL, VACUUM lets new rows use the place of deleted ones and returns the
end of a table to the disk. Until then, bytes remain in the free space of its pages, and in its write-ahead log until
that is recycled; `VACUUM FULL` of the tables removes the former at once, but blocks them for as long.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

logger = logging.getLogger(__name__)
# Emptying the log is tried again after the pause, for this long.
_EMPTY_SECONDS, _EMPTY_PAUSE = 2.0, 0.01


@contextmanager
def zeroing(connection: Connection) -> Iterator[None]:
    """Makes SQLite overwrite what statements in the block delete. It costs as many bytes of log as are deleted."""
    if connection.dialect.name != "sqlite":
        yield
        return
    before = connection.exec_driver_sql("PRAGMA secure_delete").scalar_one()
    connection.exec_driver_sql("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA secure_delete={int(before)}")


def erase(engine: Engine, tables: Sequence[str]) -> bool:
    """Removes the bytes of committed deletions. Call it after each, and later again if it returns False.

    Args:
        engine: the engine.
        tables: names of the tables whose rows were deleted.

    Returns:
        False if a reader prevented it.
    """
    if engine.dialect.name == "postgresql":
        return _vacuum(engine, tables)
    end = time.monotonic() + _EMPTY_SECONDS
    while not _empty_log(engine):
        if time.monotonic() > end:
            logger.info("bytes of deleted queries stay in the ledger's log until a reader has ended")
            return False
        time.sleep(_EMPTY_PAUSE)
    return True


def _empty_log(engine: Engine) -> bool:
    """Moves the log into the database's file and truncates it. Returns whether no other connection prevented it."""
    with closing(engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        wait = cursor.execute("PRAGMA busy_timeout").fetchone()
        # A checkpoint that waits for a reader blocks every writer while it waits, so it must not.
        cursor.execute("PRAGMA busy_timeout=0")
        try:
            row = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            cursor.execute(f"PRAGMA busy_timeout={int(wait[0])}")
        return row is not None and not row[0]


def _vacuum(engine: Engine, tables: Sequence[str]) -> bool:
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"VACUUM {', '.join(tables)}")
    except DBAPIError as error:
        logger.warning("deleted queries are not vacuumed yet: %s", str(error.orig).partition("\n")[0])
        return False
    return True
