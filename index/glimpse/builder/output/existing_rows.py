"""What rows there are already, by id and by content, in a scratch file: a million of them need no memory."""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from glimpse.inputs import Entry

# Of a scratch file nothing has to survive. Pages held in memory, in KiB.
_SCRATCH = ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", "PRAGMA cache_size = -4096")
_TABLES = (
    "CREATE TABLE known (id TEXT PRIMARY KEY, digest BLOB, label TEXT, domain TEXT) WITHOUT ROWID",
    "CREATE TABLE content (digest BLOB, row INTEGER)",
)
_PUT = """INSERT INTO known VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE
SET digest = excluded.digest, label = excluded.label, domain = excluded.domain"""
COLUMNS = ("id", "digest", "label", "domain")


def make_known(path: Path, base: Iterable[pa.Table], made: Iterable[pa.Table]) -> None:
    """Writes the scratch file of a run. Raises sqlite3.Error.

    Args:
        base: the rows the index had when its build began, in order. Their vectors are taken for the same content.
        made: those that the build has written since. Their content is not looked for: what a build writes must not
            hang on where it was interrupted.
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
    """The scratch file, as it was when the run began. Safe to use from several threads, and to read in several
    processes."""

    def __init__(self, path: Path) -> None:
        # SQLite itself keeps threads apart.
        address = f"file:{_quoted(path)}?mode=ro&immutable=1"
        self._connection = sqlite3.connect(address, uri=True, check_same_thread=False)

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()

    def state(self, entry: Entry, digest: bytes) -> str:
        """Of an entry's id: "new", "same" in every way, or "changed"."""
        found = self._connection.execute("SELECT digest, label, domain FROM known WHERE id = ?", (entry.id,)).fetchone()
        if found is None:
            return "new"
        return "same" if found == (digest, entry.label, entry.domain) else "changed"

    def row(self, digest: bytes) -> int | None:
        """Where the index had the vector of a content when the build began: the row's number, or None."""
        found = self._connection.execute("SELECT min(row) FROM content WHERE digest = ?", (digest,)).fetchone()
        return None if found[0] is None else int(found[0])

    def labelled(self, folder: str) -> bool:
        """Whether a row whose id begins with a folder's name has a label."""
        # What follows "/" in the order of bytes.
        wanted = "SELECT 1 FROM known WHERE id >= ? AND id < ? AND label IS NOT NULL LIMIT 1"
        return self._connection.execute(wanted, (f"{folder}/", f"{folder}0")).fetchone() is not None


class Ids:
    """The ids that a run has met, in a scratch file."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.Error."""
        self._connection = _scratch(path)
        self._connection.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, id: str) -> bool:
        """Whether it is met for the first time."""
        return self._connection.execute("INSERT OR IGNORE INTO ids VALUES (?)", (id,)).rowcount > 0

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()


def _scratch(path: Path) -> sqlite3.Connection:
    """A fresh file, in one transaction: its pages are written where the cache is full, and not after every row."""
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    for statement in (*_SCRATCH, "BEGIN"):
        connection.execute(statement)
    return connection


def _records(table: pa.Table) -> Iterable[Sequence[Any]]:
    return zip(*(table.column(name).to_pylist() for name in COLUMNS), strict=True)


def _quoted(path: Path) -> str:
    """As a path in a URI of SQLite."""
    return path.resolve().as_uri().removeprefix("file://")
