"""Opening the database: the data folder's lock, SQLite's durability, migrations."""

import fcntl
import os
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event

from glimpse.ledger.errors import DataFolderInUse, LedgerError

DATABASE_NAME = "ledger.sqlite"


def open_engine(folder: Path) -> Engine:
    """An engine on `folder`/ledger.sqlite, migrated to this version's schema."""
    url = URL.create("sqlite", database=str(folder / DATABASE_NAME))
    migrate(url)
    return _engine(url, foreign_keys=True)


def _engine(url: URL, *, foreign_keys: bool) -> Engine:
    engine = create_engine(url)
    event.listen(engine, "connect", _make_durable)
    event.listen(engine, "begin", _begin)
    if foreign_keys:
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys=ON"))
    return engine


def _make_durable(connection: Any, _record: Any) -> None:
    # The driver would otherwise begin transactions by itself, and none before a change of the schema.
    connection.isolation_level = None
    # WAL lets readers go on beside the writer; FULL syncs the log at every commit, so that a commit survives
    # a power cut as well as a kill.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def migrate(url: URL, revision: str = "head") -> None:
    """Brings the schema to an Alembic revision, in one transaction. Leaves a current one untouched.

    Foreign keys are off meanwhile: a table that is altered is copied and dropped, and dropping it must not take
    with it what refers to it. They are checked before the commit. Raises LedgerError where one leads nowhere.
    """
    engine = _engine(url, foreign_keys=False)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            if lost := connection.exec_driver_sql("PRAGMA foreign_key_check").all():
                raise LedgerError(f"the migration to {revision} would leave {len(lost)} rows that refer to nothing")
    finally:
        engine.dispose()


class FolderLock:
    """Holds a data folder for this process: what a server keeps in memory is right only while it alone writes."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / "lock").open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise DataFolderInUse(
                f"{folder} is in use by process {holder}; stop it, or give another folder with --data"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Lets another process have the folder."""
        self._file.close()
