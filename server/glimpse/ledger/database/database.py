"""Opening the database: what makes it durable, and migrations. SQLite in a file, or PostgreSQL."""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from glimpse.ledger.database.database_file import WATCH, FileWatch, check_file, check_single_name, sqlite_file
from glimpse.ledger.database.file_permissions import make_database
from glimpse.ledger.database.url import POSTGRESQL, told
from glimpse.ledger.errors import LedgerDamaged, LedgerError, LedgerUnavailable, UnstorableText

logger = logging.getLogger(__name__)
#: The execution option of a connection whose transaction is going to write.
WRITING: Final = "glimpse_writing"
#: The execution option of a connection that follows the ledger: it is refused where the ledger's file is another.
FOLLOWING: Final = "glimpse_following"
# Held by whoever makes or fills a database, so that no other begins: an advisory lock's number, ours alone.
_MAKING = 0x676C696D707365
# How Python's driver of SQLite says, without a code, that a text is not UTF-8.
_NOT_UTF8 = "Could not decode to UTF-8"
# Of PostgreSQL: the transaction was idle for too long; a server that only reads took the other's place.
_NOT_NOW = ("25P03", "25006")
# Of PostgreSQL: a character that its encoding or its JSON cannot hold. psycopg refuses NUL itself, without a state.
_UNSTORABLE = ("22021", "22P05", "22P02", None)


def open_engine(url: URL) -> Engine:
    """An engine on a database that is migrated to this version's schema. Raises LedgerError."""
    check_folder(url)
    with told(url):
        migrate(url)
        engine = _engine(url, foreign_keys=True)
        if file := sqlite_file(url):
            watch_file(engine, file)
        return engine


def check_folder(url: URL) -> None:
    """Raises LedgerError where the folder of a SQLite ledger is not there."""
    if (file := _sqlite_file(url)) and not (folder := file.parent).is_dir():
        raise LedgerError(f"there is no folder {folder}; make it, or name another file with --ledger")


def watch_file(engine: Engine, file: Path) -> None:
    """Has a SQLite ledger's file compared with its name, at every write and at every new connection."""
    watch = FileWatch(file)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1 FROM alembic_version").all()  # with which the log is open
        watch.arm()
    # Before the other listeners, whose statements would join the old file's log to a new file.
    event.listen(engine, "connect", watch.check_new, insert=True)
    engine.update_execution_options(**{WATCH: watch})


def open_reader(url: URL) -> Engine:
    """An engine that reads a database as it is, whoever writes meanwhile. Raises LedgerError where there is none."""
    if url.drivername == POSTGRESQL:
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return create_engine(url, connect_args=CONNECT, execution_options=options, hide_parameters=True)
    if not Path(url.database or "").is_file():
        raise LedgerError(f"there is no ledger {url.database}; name one with --data or --ledger")
    check_single_name(url)
    if file := read_only_file(url):
        # SQLite would make a log beside the file even to read it. Nobody else writes there either, or there were one.
        url = url.set(database=f"file:{quote(str(file.resolve()))}", query={"immutable": "1", "uri": "true"})
    engine = create_engine(url, hide_parameters=True, json_deserializer=read_json)
    event.listen(engine, "connect", _make_reading_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def read_only_file(url: URL) -> Path | None:
    """The file of a SQLite ledger that is on a read-only disk, closed by whoever wrote it; else None."""
    file = sqlite_file(url)
    if file is None or os.access(file.parent, os.W_OK) or Path(f"{file.resolve()}-wal").exists():
        return None
    return file


def _sqlite_file(url: URL) -> Path | None:
    """None of PostgreSQL, and of a name that is a URI, which SQLite reads for itself."""
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


#: How PostgreSQL is connected to. A server that hangs, or whose machine is gone, must not hold the ledger's head from
#: the others for long.
CONNECT: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # where the machine goes away under a statement, keepalives are not sent
    "options": "-c idle_in_transaction_session_timeout=60s -c lock_timeout=50s -c statement_timeout=120s",
}


def _make_durable_postgresql(connection: Any, _record: Any) -> None:
    # Whatever is set for the database: what is acknowledged is on its disk. Other settings stay: they differ in what
    # its standbys must have first (`local`: nothing), and that is its operator's choice.
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        if cursor.fetchone()[0] == "off":
            cursor.execute("SET synchronous_commit = on")
    connection.commit()


def _make_durable_sqlite(connection: Any, _record: Any) -> None:
    # The driver would otherwise begin transactions by itself, and none before a change of the schema.
    connection.isolation_level = None
    # WAL lets readers go on beside the writer; FULL syncs the log at every commit, so that a commit survives
    # a power cut as well as a kill.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _make_reading_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("busy_timeout=5000", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes its place at once: one that read before another wrote would be refused.
    options = connection.get_execution_options()
    writing = options.get(WRITING)
    if writing or options.get(FOLLOWING):
        check_file(connection)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def available() -> Iterator[None]:
    """Translates the database's errors.

    Raises LedgerUnavailable where it is gone, full, or locked by another for too long; UnstorableText where it cannot
    hold a text.
    """
    try:
        yield
    except PoolTimeout as error:
        raise LedgerUnavailable("the ledger's connections are all in use; try again later") from error
    except UnicodeEncodeError as error:
        raise UnstorableText("a text holds half of a character, which cannot be stored") from error
    except DataError as error:
        if getattr(error.orig, "sqlstate", "") not in _UNSTORABLE:
            raise
        raise UnstorableText("a text holds a character that the ledger's database cannot store") from error
    except DBAPIError as error:
        if _is_damage(error.orig):
            raise _damaged(str(error.orig)) from error
        name = type(error.orig).__mro__
        gone = any(one.__name__ in ("OperationalError", "InterfaceError") for one in name)
        if gone or error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _NOT_NOW:
            why = str(error.orig).strip().partition("\n")[0]
            raise LedgerUnavailable(f"the ledger cannot be had ({why}); try again later") from error
        raise


def _is_damage(error: BaseException | None) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary one
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or _NOT_UTF8 in str(error)


def _damaged(reason: str) -> LedgerDamaged:
    return LedgerDamaged(
        f"the ledger is damaged ({reason}); `glimpse ledger verify` says where, `glimpse ledger restore` brings a "
        "backup back"
    )


def read_json(content: str) -> Any:
    """A stored value. Raises LedgerDamaged where it is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, TypeError) as error:
        raise _damaged(f"a value is not JSON: {error}") from error


def migrate(url: URL, revision: str = "head") -> None:
    """Brings the schema to an Alembic revision, in one transaction. Leaves a current one untouched.

    In SQLite foreign keys are off meanwhile: a table that is altered is copied and dropped, and dropping it must not
    take with it what refers to it. They are checked before the commit. Raises LedgerError where one leads nowhere, and
    where the schema is a later version's.
    """
    engine, config = _engine(url, foreign_keys=False), _alembic()
    try:
        with engine.connect().execution_options(**{WRITING: True}) as connection, connection.begin():
            if url.drivername == POSTGRESQL:
                # Others may migrate, or restore; and this may take long.
                for limit in ("lock_timeout", "statement_timeout"):
                    connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
                hold(connection)
            config.attributes["connection"] = connection
            context = MigrationContext.configure(connection)
            before = context.get_current_heads()
            if None in before:
                raise _damaged("its schema's version is missing")
            check_not_newer("".join(before))
            command.upgrade(config, revision)
            # Which reads everything there is.
            after = context.get_current_heads()
            checked = url.drivername == "sqlite" and after != before
            if checked and (lost := connection.exec_driver_sql("PRAGMA foreign_key_check").all()):
                raise LedgerError(f"the migration to {revision} would leave {len(lost)} rows that refer to nothing")
        if after != before:  # and that stands
            logger.info("ledger migrated %s → %s", "".join(before) or "from nothing", "".join(after))
    finally:
        engine.dispose()


def hold(connection: Connection) -> None:
    """Keeps every other from opening a ledger in PostgreSQL until the transaction ends."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MAKING})")


def current_schema() -> str:
    """The Alembic revision of this version's schema."""
    return ScriptDirectory.from_config(_alembic()).get_current_head() or ""


def check_not_newer(found: str) -> None:
    """Raises LedgerError where an Alembic revision is of a schema that this version does not know."""
    if found > current_schema():
        raise LedgerError(f"the ledger is of schema {found}, later than this version's; use the version that made it")


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "schema_migrations"))
    return config
