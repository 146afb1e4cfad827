"""The file of a SQLite ledger that another file has replaced."""

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from glimpse.ledger.database.database_file import WATCH, FileWatch, check_file
from glimpse.ledger.errors import LedgerReplaced


def test_the_log_of_a_replaced_file_is_emptied_once_its_readers_have_ended(tmp_path: Path) -> None:
    file, old = tmp_path / "ledger", tmp_path / "old"
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 0})
    with closing(sqlite3.connect(file, check_same_thread=False)) as reader, engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("CREATE TABLE words (word TEXT)")
        connection.commit()
        watch = FileWatch(file)
        watch.arm()
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM words").fetchall()
        connection.exec_driver_sql("INSERT INTO words VALUES ('kept')")
        connection.commit()
        old.hardlink_to(file)
        shutil.copyfile(file, tmp_path / "other")
        (tmp_path / "other").replace(file)
        log = tmp_path / "ledger-wal"
        assert log.stat().st_size
        timer = threading.Timer(0.1, reader.rollback)
        timer.start()
        with pytest.raises(LedgerReplaced):
            check_file(connection.execution_options(**{WATCH: watch}))
        timer.join()
        assert not log.stat().st_size
    engine.dispose()
    with closing(sqlite3.connect(old)) as found:
        assert found.execute("SELECT word FROM words").fetchall() == [("kept",)]
