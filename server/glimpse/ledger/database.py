"""Opening the database: the data folder's lock, SQLite's durability, migrations."""

import fcntl
import os
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event

from glimpse.ledger.errors import DataFolderInUse

DATABASE_NAME = "ledger.sqlite"


def open_engine(folder: Path) -> Engine:
    """An engine on `folder`/ledger.sqlite, migrated to this version's schema."""
    engine = create_engine(f"sqlite:///{folder / DATABASE_NAME}")
    event.listen(engine, "connect", _make_durable)
    migrate(engine)
    return engine


def _make_durable(connection: Any, _record: Any) -> None:
    # WAL lets readers go on beside the writer; FULL syncs the log at every commit, so that a commit survives
    # a power cut as well as a kill.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")


def migrate(engine: Engine, revision: str = "head") -> None:
    """Brings the schema to an Alembic revision. Leaves a current one untouched."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


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
