"""Fills an empty ledger, all or nothing, while no other process uses it."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Table, delete, insert, text
from sqlalchemy.exc import DBAPIError

from glimpse.ledger.database import schema
from glimpse.ledger.database.database import WRITING, lock_creation, open_engine
from glimpse.ledger.database.database_file import LedgerLock, sqlite_file
from glimpse.ledger.database.file_permissions import make_folder
from glimpse.ledger.database.url import parse_url
from glimpse.ledger.errors import LedgerError
from glimpse.ledger.maintenance.consistent_read import Progress, count, disable_timeouts
from glimpse.ledger.maintenance.problems import Problems
from glimpse.ledger.maintenance.verify import verify_connection

_STOP = "stop every `glimpse serve` that uses it, and try again"


@contextmanager
def bulk_load(url: str, progress: Progress) -> Iterator[Connection]:
    """Opens a transaction on an empty ledger, created if needed, that accepts all rows of another, including its head.

    The ledger is verified before the commit.

    Raises:
        LedgerError: the ledger is in use, not empty, or does not pass verification. It is then unchanged.
    """
    parsed = parse_url(url)
    with _locked(parsed), _load(parsed, progress) as connection:
        yield connection


@contextmanager
def _locked(url: URL) -> Iterator[None]:
    """Keeps servers away from a SQLite ledger; connections to PostgreSQL are counted in the transaction."""
    if file := sqlite_file(url):
        make_folder(file.parent)
    lock = LedgerLock.take(url)
    try:
        if file:
            _check_alone_sqlite(file)
        yield
    finally:
        if lock:
            lock.release()


@contextmanager
def _load(url: URL, progress: Progress) -> Iterator[Connection]:
    engine = open_engine(url)
    try:
        with engine.connect().execution_options(**{WRITING: True}) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                _check_alone_postgresql(connection)
            _check_empty(connection)
            connection.execute(delete(schema.head))
            yield connection
            problems = Problems()
            verify_connection(connection, problems, progress)
            if problems:
                raise LedgerError(f"the copy is damaged and was rolled back: {problems.summary()}")
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise LedgerError(f"the ledger could not be filled and is unchanged ({reason})") from error
    finally:
        engine.dispose()


def put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Inserts rows."""
    if table is schema.review_items and connection.dialect.name == "postgresql":
        # PostgreSQL numbers new items by a sequence, which does not notice numbers that are given.
        rows = [{name: value for name, value in row.items() if name != "sequence"} for row in rows]
    if rows:
        connection.execute(insert(table), rows)


def _check_alone_sqlite(file: Path) -> None:
    """Raises LedgerError if another process has the file open."""
    connection = sqlite3.connect(file, timeout=0)
    try:
        # SQLite cannot leave WAL mode while another process has the file open.
        connection.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise LedgerError(f"the ledger {file} is in use ({error}); {_STOP}") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{file} is no ledger ({error}); name another with --data or --ledger") from error
    finally:
        connection.close()


def _check_alone_postgresql(connection: Connection) -> None:
    """Raises LedgerError if others are connected. Connections opened from now on wait."""
    disable_timeouts(connection)
    lock_creation(connection)
    query = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""
    if others := connection.scalar(text(query)):
        raise LedgerError(f"the database is in use, by {others} other connection{'s' * (others > 1)}; {_STOP}")


def _check_empty(connection: Connection) -> None:
    head = connection.execute(schema.head.select().with_for_update()).one()
    full = [table.name for table in schema.metadata.sorted_tables if table.name != "head" and count(connection, table)]
    if head.revision or full:
        raise LedgerError(
            f"the ledger is not empty (revision {head.revision}); fill a new one: another --data, --ledger, or database"
        )
