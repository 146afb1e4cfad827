"""A copy of a ledger in one file, taken while it is written to; and the way back, into either database."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, Connection, Table, create_engine, delete, event, select

from glimpse.ledger.database import schema
from glimpse.ledger.database.database import current_schema, migrate
from glimpse.ledger.database.scratch import scratch_beside
from glimpse.ledger.database.transactions import read_head
from glimpse.ledger.errors import LedgerError
from glimpse.ledger.maintenance.bulk_load import bulk_load, put
from glimpse.ledger.maintenance.consistent_read import (
    Progress,
    consistent_read,
    count,
    existing_columns,
    rows,
    schema_revision,
)
from glimpse.ledger.maintenance.verify import verify
from glimpse.ledger.records import Head


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What a ledger stands on and does not hold."""

    #: Name and embedding space of the collections' backbones.
    backbones: list[tuple[str, str]]
    #: Name and manifest's digest of the indexes under collections.
    indexes: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What was copied: where the ledger stood, its rows by table, and what it needs beside."""

    head: Head
    rows: dict[str, int]
    dependencies: Dependencies
    #: Of the file, in bytes, and SHA-256; of a ledger in a database nothing.
    size: int = 0
    digest: str = ""


def back_up(url: str, file: Path, progress: Progress, *, force: bool = False) -> CopyResult:
    """Copies a ledger, of this version or an earlier one, into a SQLite file that is a ledger of this version.

    `file` is there once the copy is whole and on the disk. Raises LedgerError.
    """
    if file.exists() and not force:
        raise LedgerError(f"{file} is there already; name another file, or say --force")
    try:
        with scratch_beside(file) as folder:
            aside = folder / "ledger.sqlite"
            with consistent_read(url) as source:
                _copy_out(source, aside, progress)
            _sync(aside)
            copied = _checked(aside, file, progress)
            os.replace(aside, file)
            _sync(file.parent)
    except OSError as error:
        raise LedgerError(f"{file} cannot be written: {error.strerror}") from error
    return copied


def restore(file: Path, url: str, progress: Progress) -> CopyResult:
    """Copies a backup into an empty ledger, all or nothing. Raises LedgerError."""
    _check_backup(file)
    with consistent_read(_url(file)) as source:
        with bulk_load(url, progress) as target:
            tables = existing_columns(source)
            for table, columns in tables.items():
                _copy(source, target, table, columns, progress)
        return _told(source)


def _check_backup(file: Path) -> None:
    """Raises LedgerError where a file is no ledger of any version."""
    try:
        with file.open("rb"), closing(sqlite3.connect(file)) as connection:
            connection.execute("SELECT version_num FROM alembic_version")
    except OSError as error:
        raise LedgerError(f"the backup {file} cannot be read: {error.strerror}") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{file} is no backup of glimpse ({error})") from error


def _url(file: Path) -> str:
    return URL.create("sqlite", database=str(file)).render_as_string()


def _copy_out(source: Connection, aside: Path, progress: Progress) -> None:
    version, url = schema_revision(source), URL.create("sqlite", database=str(aside))
    migrate(url, version)
    with _unsynced(url) as target, target.begin():
        tables = existing_columns(source)
        for table in reversed(tables):
            target.execute(delete(table))
        for table, columns in tables.items():
            _copy(source, target, table, columns, progress)
        if source.dialect.name == "sqlite":  # which numbered rows itself, before there was a head
            target.exec_driver_sql("DELETE FROM sqlite_sequence")
            for numbered in source.exec_driver_sql("SELECT name, seq FROM sqlite_sequence"):
                target.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", tuple(numbered))
    if version != current_schema():
        migrate(url)
        with _unsynced(url):
            pass


def _copy(source: Connection, target: Connection, table: Table, columns: list[Column[Any]], progress: Progress) -> None:
    batches = rows(source, table, columns)
    with closing(batches), progress(f"copying {table.name}", count(source, table)) as advance:
        for part in batches:
            put(target, table, part)
            advance(len(part))


@contextmanager
def _unsynced(url: URL) -> Iterator[Connection]:
    """A connection that leaves it to the end to bring the file to the disk, with nothing beside it."""
    engine = create_engine(url)
    event.listen(engine, "connect", _make_unsynced)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _make_unsynced(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=MEMORY", "synchronous=OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _checked(aside: Path, file: Path, progress: Progress) -> CopyResult:
    """What was copied. Raises LedgerError where that is not whole: then it is kept under another name."""
    if problems := verify(_url(aside), progress):
        kept = file.with_name(f"{file.name}.faulty")
        os.replace(aside, kept)
        raise LedgerError(
            f"the ledger is not whole, nor is its copy, which is kept as {kept}: {problems.summary()}; "
            "see `glimpse ledger verify`"
        )
    with consistent_read(_url(aside)) as copy:
        told = _told(copy)
    with aside.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return CopyResult(told.head, told.rows, told.dependencies, aside.stat().st_size, digest)


def _told(connection: Connection) -> CopyResult:
    counts = {table.name: count(connection, table) for table in schema.metadata.sorted_tables}
    there, below = schema.collections.c, schema.attachments.c
    backbones = connection.execute(select(there.backbone, there.embedding_space).distinct()).all()
    indexes = connection.execute(select(below.index_id, below.digest).distinct()).all()
    dependencies = Dependencies(sorted(map(tuple, backbones)), sorted(map(tuple, indexes)))
    return CopyResult(read_head(connection), counts, dependencies)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
