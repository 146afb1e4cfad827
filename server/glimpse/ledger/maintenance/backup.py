"""Copies a ledger into one file while servers write to it, and restores it into SQLite or PostgreSQL."""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Column, ColumnElement, Connection, Table, create_engine, delete, event, select

from glimpse.files.scratch import scratch_beside
from glimpse.ledger.database import schema
from glimpse.ledger.database.database import migrate
from glimpse.ledger.database.schema_version import current_schema
from glimpse.ledger.database.transactions import now_microseconds, read_head
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
from glimpse.ledger.maintenance.kept_queries import not_expired
from glimpse.ledger.maintenance.verify import verify
from glimpse.ledger.records import Head


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Backbones and indexes that a ledger refers to but does not contain."""

    #: Name and embedding space of each backbone.
    backbones: list[tuple[str, str]]
    #: Name and manifest digest of each attached index.
    indexes: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class CopyResult:
    """The result of a copy: the head, row counts by table, and the dependencies."""

    head: Head
    rows: dict[str, int]
    dependencies: Dependencies
    #: Size of the file in bytes, and its SHA-256; empty for a restore.
    size: int = 0
    digest: str = ""
    #: Review items that were not copied.
    review_left_out: int = 0


def back_up(url: str, file: Path, progress: Progress, *, force: bool = False, review: bool = False) -> CopyResult:
    """Copies a ledger of this or an earlier schema into a SQLite file with this version's schema.

    The file appears when the copy is complete, verified and on disk.

    Args:
        url: the ledger.
        file: the file to create.
        progress: reports progress.
        force: overwrite an existing file.
        review: also copy the review queue, with the kept queries.

    Raises:
        LedgerError: the copy failed, or the ledger is damaged.
    """
    if file.exists() and not force:
        raise LedgerError(f"{file} is there already; name another file, or use --force")
    try:
        with scratch_beside(file) as folder:
            aside = folder / "ledger.sqlite"
            with consistent_read(url) as source:
                left_out = _copy_out(source, aside, progress, review)
            _sync(aside)
            copied = _checked(aside, file, progress)
            os.replace(aside, file)
            _sync(file.parent)
    except OSError as error:
        raise LedgerError(f"{file} cannot be written: {error.strerror}") from error
    return replace(copied, review_left_out=left_out)


def restore(file: Path, url: str, progress: Progress) -> CopyResult:
    """Copies a backup into an empty ledger, all or nothing, without kept queries that have expired.

    Raises:
        LedgerError: the restore failed.
    """
    _check_backup(file)
    with consistent_read(_url(file)) as source, bulk_load(url, progress) as target:
        now = now_microseconds()
        for table, columns in existing_columns(source).items():
            _copy(source, target, table, columns, progress, *not_expired(table, now))
        return _result(target)


def _check_backup(file: Path) -> None:
    """Raises LedgerError if a file is not a ledger of any version."""
    try:
        with file.open("rb"), closing(sqlite3.connect(file)) as connection:
            connection.execute("SELECT version_num FROM alembic_version")
    except OSError as error:
        raise LedgerError(f"the backup {file} cannot be read: {error.strerror}") from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(f"{file} is no backup of glimpse ({error})") from error


def _url(file: Path) -> str:
    return URL.create("sqlite", database=str(file)).render_as_string()


def _copy_out(source: Connection, aside: Path, progress: Progress, review: bool) -> int:
    """Copies the tables; returns the number of review items that were left out."""
    version, url = schema_revision(source), URL.create("sqlite", database=str(aside))
    migrate(url, version)
    with _unsynced(url) as target, target.begin():
        tables = existing_columns(source)
        for table in reversed(tables):
            target.execute(delete(table))
        left_out = 0 if review or schema.review_items not in tables else count(source, schema.review_items)
        for table, columns in tables.items():
            if review or table not in schema.REVIEW_TABLES:
                _copy(source, target, table, columns, progress)
        if source.dialect.name == "sqlite":  # schemas before the head numbered rows by SQLite's sequence
            target.exec_driver_sql("DELETE FROM sqlite_sequence")
            for numbered in source.exec_driver_sql("SELECT name, seq FROM sqlite_sequence"):
                target.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", tuple(numbered))
    if version != current_schema():
        migrate(url)
        with _unsynced(url):
            pass
    return left_out


def _copy(
    source: Connection,
    target: Connection,
    table: Table,
    columns: list[Column[Any]],
    progress: Progress,
    *where: ColumnElement[bool],
) -> None:
    batches = rows(source, table, columns, *where)
    with closing(batches), progress(f"copying {table.name}", count(source, table, *where)) as advance:
        for batch in batches:
            put(target, table, batch)
            advance(len(batch))


@contextmanager
def _unsynced(url: URL) -> Iterator[Connection]:
    """Opens a connection without syncs or a log; the caller syncs the finished file."""
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
    """Verifies the copy. A damaged copy is kept under another name, and LedgerError is raised."""
    if problems := verify(_url(aside), progress):
        kept = file.with_name(f"{file.name}.faulty")
        os.replace(aside, kept)
        raise LedgerError(
            f"the ledger is damaged, and so is its copy, which is kept as {kept}: {problems.summary()}; "
            "see `glimpse ledger verify`"
        )
    with consistent_read(_url(aside)) as copy:
        result = _result(copy)
    with aside.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return CopyResult(result.head, result.rows, result.dependencies, aside.stat().st_size, digest)


def _result(connection: Connection) -> CopyResult:
    counts = {table.name: count(connection, table) for table in schema.metadata.sorted_tables}
    collections, attachments = schema.collections.c, schema.attachments.c
    backbones = connection.execute(select(collections.backbone, collections.embedding_space).distinct()).all()
    indexes = connection.execute(select(attachments.index_id, attachments.digest).distinct()).all()
    dependencies = Dependencies(sorted(map(tuple, backbones)), sorted(map(tuple, indexes)))
    return CopyResult(read_head(connection), counts, dependencies)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
