"""The rows that exist already, by id and by content, in a temporary SQLite file rather than in memory."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from glimpse.index.storage.shard import group_in
from glimpse.inputs import Entry

# A temporary file need not survive a crash. cache_size is in KiB.
_SCRATCH = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -4096")
_TABLES = (
    "CREATE TABLE known (id TEXT PRIMARY KEY, digest BLOB, label TEXT, domain TEXT, grouped TEXT) WITHOUT ROWID",
    "CREATE TABLE content (digest BLOB, row INTEGER)",
)
_PUT = """INSERT INTO known VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
SET digest = excluded.digest, label = excluded.label, domain = excluded.domain, grouped = excluded.grouped"""
COLUMNS = ("id", "digest", "label", "domain", "about")


def make_known(path: Path, base: Iterable[pa.Table], made: Iterable[pa.Table]) -> None:
    """Writes the temporary file of a run. Raises sqlite3.Error.

    Args:
        path: the file.
        base: rows of the index before the build, in order. Their vectors are reused for the same content.
        made: rows that the build has written since. Their vectors are not reused, because the result of a build must
            not depend on where it was interrupted.
    """
    rows = 0
    with closing(_scratch(path)) as connection:
        for statement in _TABLES:
            connection.execute(statement)
        for table in base:
            connection.executemany(_PUT, _records(table))
            digests = table.column("digest").to_pylist()
            connection.executemany("INSERT INTO content VALUES (?, ?)", zip(digests, count(rows)))
            rows += len(digests)
        for table in made:
            connection.executemany(_PUT, _records(table))
        connection.execute("CREATE INDEX by_digest ON content (digest, row)")
        connection.execute("COMMIT")


class Known:
    """Reads the rows as they were at the start of the run. It is thread-safe; several processes may read the file."""

    def __init__(self, path: Path) -> None:
        # SQLite serializes the threads itself.
        address = f"file:{_quoted(path)}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def state(self, entry: Entry, digest: bytes) -> str:
        """Returns "new", "same" (in every field) or "changed" for an entry's id."""
        query = "SELECT digest, label, domain, grouped FROM known WHERE id = ?"
        row = self._connection.execute(query, (entry.id,)).fetchone()
        if row is None:
            return "new"
        return "same" if row == (digest, entry.label, entry.domain, entry.group) else "changed"

    def row(self, digest: bytes) -> int | None:
        """Returns the first row of the base with this content, or None."""
        [row] = self._connection.execute("SELECT min(row) FROM content WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else int(row)

    def labelled(self, folder: str) -> bool:
        """Returns whether a row whose id starts with a folder's name has a label."""
        # "0" follows "/" in byte order.
        wanted = "SELECT 1 FROM known WHERE id >= ? AND id < ? AND label IS NOT NULL LIMIT 1"
        return self._connection.execute(wanted, (f"{folder}/", f"{folder}0")).fetchone() is not None


class Ids:
    """The ids that occurred in a run, in a temporary file."""

    def __init__(self, path: Path) -> None:
        """Creates the file. Raises sqlite3.Error."""
        self._connection = _scratch(path)
        self._connection.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, id: str) -> bool:
        """Adds an id; returns whether it is new."""
        return self._connection.execute("INSERT OR IGNORE INTO ids VALUES (?)", (id,)).rowcount > 0

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()


def _scratch(path: Path) -> sqlite3.Connection:
    """Creates a file and starts one transaction: pages are written when the cache is full, not after every row."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    for statement in (*_SCRATCH, "BEGIN"):
        connection.execute(statement)
    return connection


def _records(table: pa.Table) -> Iterable[Sequence[Any]]:
    *columns, about = (table.column(name).to_pylist() for name in COLUMNS)
    return zip(*columns, map(group_in, about), strict=True)


def _quoted(path: Path) -> str:
    """Returns a path for a URI of SQLite."""
    return path.resolve().as_uri().removeprefix("file://")
