"""Opens the database, makes it durable, and migrates its schema. SQLite in a file, or PostgreSQL."""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from glimpse.ledger.database.database_file import WATCH, FileWatch, check_file, check_single_name, sqlite_file
from glimpse.ledger.database.file_permissions import make_database
from glimpse.ledger.database.schema_version import check_not_newer, current_schema, stored_schema
from glimpse.ledger.database.url import POSTGRESQL, translate_open_errors
from glimpse.ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable, UnstorableText

logger = logging.getLogger(__name__)
#: Execution option of a connection whose transaction writes.
WRITING: Final = "glimpse_writing"
#: Execution option of a connection that follows the ledger: it is refused if the ledger's file was replaced.
FOLLOWING: Final = "glimpse_following"
# Number of the advisory lock that is held while a database is created or filled.
_CREATION_LOCK = 0x676C696D707365
# Longest wait of a SQLite connection for another one's lock.
_BUSY_SECONDS: Final = 5
# Python's SQLite driver reports a text that is not UTF-8 with this message and no code.
_NOT_UTF8 = "Could not decode to UTF-8"
# PostgreSQL states: idle transaction terminated; the server has become read-only.
_TEMPORARY = ("25P03", "25006")
# PostgreSQL states: a character that the encoding or JSON cannot represent. psycopg rejects NUL without a state.
_UNSTORABLE = ("22021", "22P05", "22P02", None)


def open_engine(url: URL) -> Engine:
    """Returns an engine on a database with the current schema; migrates it if needed. Raises LedgerError."""
    check_folder(url)
    with translate_open_errors(url):
        migrate(url)
        engine = _engine(url, foreign_keys=True)
        if file := sqlite_file(url):
            watch_file(engine, file)
        return engine


def check_folder(url: URL) -> None:
    """Raises LedgerError if the folder of a SQLite ledger does not exist."""
    if (file := _sqlite_file(url)) and not (folder := file.parent).is_dir():
        raise LedgerError(f"there is no folder {folder}; make it, or name another file with --ledger")


def watch_file(engine: Engine, file: Path) -> None:
    """Checks at every write and every new connection that a SQLite file still has its name."""
    watch = FileWatch(file)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1 FROM alembic_version").all()  # opens the write-ahead log
        watch.arm()
    # Insert it before the other listeners: their statements would apply the old file's log to a new file.
    event.listen(engine, "connect", watch.check_new, insert=True)
    engine.update_execution_options(**{WATCH: watch})


def open_reader(url: URL) -> Engine:
    """Returns an engine that reads a database as it is while others write. Raises LedgerError if it does not exist."""
    if url.drivername == POSTGRESQL:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return create_engine(url, connect_args=CONNECT, execution_options=options, hide_parameters=True)
    if not Path(url.database or "").is_file():
        raise LedgerError(f"there is no ledger {url.database}; name one with --data or --ledger")
    check_single_name(url)
    if file := read_only_file(url):
        # SQLite creates a log beside the file even for reads, which a read-only disk does not allow. Without a log
        # no process is writing, so the file can be opened as immutable.
        url = url.set(database=f"file:{quote(str(file.resolve()))}", query={"immutable": "1", "uri": "true"})
    engine = create_engine(url, hide_parameters=True, json_deserializer=read_json)
    event.listen(engine, "connect", _make_reading_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def read_only_file(url: URL) -> Path | None:
    """Returns the file of a SQLite ledger on a read-only disk that was closed cleanly; else None."""
    file = sqlite_file(url)
    if file is None or os.access(file.parent, os.W_OK) or Path(f"{file.resolve()}-wal").exists():
        return None
    return file


def _sqlite_file(url: URL) -> Path | None:
    """Returns the file; None for PostgreSQL, and for a name that is a URI, which SQLite parses itself."""
    return Path(url.database or "") if url.drivername == "sqlite" and "uri" not in url.query else None


def _engine(url: URL, *, foreign_keys: bool) -> Engine:
    if url.drivername == POSTGRESQL:
        engine = create_engine(url, pool_pre_ping=True, pool_timeout=10, connect_args=CONNECT, hide_parameters=True)
        event.listen(engine, "connect", _make_durable_postgresql)
        return engine
    if file := _sqlite_file(url):
        make_database(file)
    engine = create_engine(url, hide_parameters=True, json_deserializer=read_json)
    event.listen(engine, "connect", _make_durable_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    if foreign_keys:
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    return engine


#: PostgreSQL connection options. A server that hangs or loses its machine must not block the ledger's head for long.
CONNECT: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # keepalives are not sent while a statement is unacknowledged
    "options": "-c idle_in_transaction_session_timeout=60s -c lock_timeout=50s -c statement_timeout=120s",
}


def _make_durable_postgresql(connection: Any, _record: Any) -> None:
    # An acknowledged write must be on the database's disk, so `off` is not allowed. The other settings only differ in
    # what standbys must have received (`local`: nothing), which is the operator's choice.
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        if cursor.fetchone()[0] == "off":
            cursor.execute("SET synchronous_commit = on")
    connection.commit()


def _make_durable_sqlite(connection: Any, _record: Any) -> None:
    # Otherwise the driver begins transactions itself, and none before schema changes.
    connection.isolation_level = None
    # WAL lets readers run at the same time as the writer. FULL syncs the log at every commit, so a commit survives a
    # power cut.
    _switch_to_wal(connection)
    for pragma in ("synchronous=FULL", f"busy_timeout={1000 * _BUSY_SECONDS}"):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Where two connections switch one file at once, SQLite refuses one of them immediately instead of letting it wait
    # for the busy timeout, because each holds a lock that the other needs.
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)


def _make_reading_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (f"busy_timeout={1000 * _BUSY_SECONDS}", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer locks immediately: a transaction that has read before another wrote could not be upgraded.
    options = connection.get_execution_options()
    writing = options.get(WRITING)
    if writing or options.get(FOLLOWING):
        check_file(connection)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def available() -> Iterator[None]:
    """Translates the database's errors.

    Raises:
        LedgerUnavailable: the database is unreachable, full, or locked for too long.
        UnstorableText: the database cannot store a text.
        LedgerDamaged: the database file is damaged.
    """
    try:
        yield
    except PoolTimeout as error:
        raise LedgerUnavailable("all connections to the ledger are in use; retry later") from error
    except UnicodeEncodeError as error:
        raise UnstorableText("a text contains an unpaired surrogate, which cannot be stored") from error
    except DataError as error:
        if getattr(error.orig, "sqlstate", "") not in _UNSTORABLE:
            raise
        raise UnstorableText("a text contains a character that the ledger's database cannot store") from error
    except DBAPIError as error:
        if _is_damage(error.orig):
            raise _damaged(str(error.orig)) from error
        unreachable = {"OperationalError", "InterfaceError"} & {base.__name__ for base in type(error.orig).__mro__}
        if unreachable or error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _TEMPORARY:
            reason = str(error.orig).strip().partition("\n")[0]
            raise LedgerUnavailable(f"ledger temporarily unavailable ({reason}); retry later") from error
        raise


def _primary_code(error: BaseException | None) -> int:
    """Returns SQLite's error code without its details; 0 if the error is not one of SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_damage(error: BaseException | None) -> bool:
    return _primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or _NOT_UTF8 in str(error)


def _damaged(reason: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"the ledger is damaged ({reason}); `glimpse ledger verify` shows where, `glimpse ledger restore` "
        "brings back a backup"
    )


def read_json(content: str) -> Any:
    """Parses a stored JSON value. Raises LedgerDamaged if it is not JSON."""
    try:
        return json.loads(content)
    except (ValueError, TypeError) as error:
        raise _damaged(f"a value is not JSON: {error}") from error


def migrate(url: URL, revision: str = "head") -> None:
    """Migrates the schema to an Alembic revision in one transaction. A current schema stays untouched.

    In SQLite foreign keys are off during the migration: altering a table copies and drops it, which must not delete the
    rows that refer to it. They are checked before the commit.

    Raises:
        LedgerError: a foreign key would be broken, or the schema is newer than this version.
    """
    engine = _engine(url, foreign_keys=False)
    try:
        with engine.connect().execution_options(**{WRITING: True}) as connection, connection.begin():
            if url.drivername == POSTGRESQL:
                # Another server may be migrating or restoring, which may take long.
                for limit in ("lock_timeout", "statement_timeout"):
                    connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
                lock_creation(connection)
            before = stored_schema(connection)
            found = next(iter(before), "")
            if found is None or len(before) > 1:
                raise _damaged("its schema's version is missing" if found is None else "its schema has two versions")
            check_not_newer(found)
            wanted = current_schema() if revision == "head" else revision
            if found >= wanted:
                return
            from glimpse.ledger.database.schema_upgrade import upgrade

            upgrade(connection, revision)
            # The check reads the whole database.
            if url.drivername == "sqlite" and (lost := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                raise LedgerError(f"the migration to {revision} would leave {len(lost)} rows that refer to nothing")
        logger.info("ledger migrated %s → %s", found or "from nothing", wanted)  # committed
    finally:
        engine.dispose()


def lock_creation(connection: Connection) -> None:
    """Blocks every other process from opening a PostgreSQL ledger until the transaction ends."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_CREATION_LOCK})")
