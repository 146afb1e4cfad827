"""The file of a SQLite ledger: checks that its name still refers to the open file, and locks it."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Connection

from glimpse.ledger.database.file_permissions import make_database
from glimpse.ledger.database.process_lock import lock, unlock
from glimpse.ledger.errors import LedgerError, LedgerInUse, LedgerReplaced

#: Execution option of an engine with a watched file: its `FileWatch`.
WATCH: Final = "glimpse_file_watch"
# Files beside the database. SQLite names them after the file itself, not after a link to it.
_BESIDE = ("-wal", "-shm")
# Emptying the log is tried again after the pause, for this long.
_EMPTY_SECONDS, _EMPTY_PAUSE = 5.0, 0.01
_Identity = tuple[int, int]


def sqlite_file(url: URL) -> Path | None:
    """Returns the file of a SQLite ledger; None for PostgreSQL."""
    if url.drivername != "sqlite":
        return None
    name = url.database or ""
    return Path(unquote(urlsplit(name).path) if "uri" in url.query else name)


class FileWatch:
    """Compares the names of a ledger's files with the files that were opened.

    SQLite keeps writing to files that were renamed, replaced or deleted, and no later start would find those writes.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._expected: dict[str, _Identity | None] = {}

    def arm(self) -> None:
        """Records the files. Call it once SQLite has opened them all."""
        beside = [f"{self._file.resolve()}{ending}" for ending in _BESIDE]
        self._expected = {path: _identity(path) for path in (str(self._file), *beside)}

    def check(self) -> None:
        """Raises LedgerReplaced if a name refers to another file or to none."""
        for path, expected in self._expected.items():
            if (identity := _identity(path)) != expected:
                change = "was removed or moved" if identity is None else "was replaced"
                raise LedgerReplaced(
                    f"{path} {change} while this process has it open; no more is written. "
                    "Move the old file back, or stop the server and start it on the file to keep "
                    "(`glimpse ledger restore` brings back a backup)"
                )

    def check_new(self, connection: Any, _record: Any) -> None:
        """Checks a connection that was just opened by name and has read nothing yet; closes it if it fails."""
        try:
            self.check()
        except LedgerReplaced:
            connection.close()
            raise


def check_file(connection: Connection) -> None:
    """Raises LedgerReplaced if the ledger's file is not the one that is open. Call it outside a transaction."""
    watch: FileWatch | None = connection.get_execution_options().get(WATCH)
    if watch is not None:
        try:
            watch.check()
        except LedgerReplaced:
            _empty_log(connection)
            raise


def _identity(path: str) -> _Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _empty_log(connection: Connection) -> None:
    # Write the log's commits into the file that they belong to. A log with commits would be applied to whatever file
    # has the name at the next start, and destroy that file.
    end = time.monotonic() + _EMPTY_SECONDS
    with suppress(Exception):
        # SQLite does not wait for a checkpoint that another thread has begun, and that may not be on disk yet.
        while _checkpoint(connection) and time.monotonic() < end:
            time.sleep(_EMPTY_PAUSE)


def _checkpoint(connection: Connection) -> bool:
    """Empties the log; returns whether another connection prevented it."""
    cursor = connection.connection.cursor()
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    row = cursor.fetchone()
    return row is not None and bool(row[0])


class LedgerLock:
    """Locks a SQLite ledger's file for this process, by whatever name it was opened. The lock ends with the process.

    `flock` is independent of the locks that SQLite takes. Release it after closing SQLite's connections: closing any
    descriptor of a file drops SQLite's own locks.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def take(cls, url: URL) -> Self | None:
        """Locks the file, creating it if needed. Returns None for PostgreSQL. Raises LedgerInUse and LedgerError."""
        if (file := sqlite_file(url)) is None:
            return None
        make_database(file)
        handle = _open(file)
        try:
            lock(handle)
        except BlockingIOError as error:
            failure = _in_use(file, os.fstat(handle).st_ino)
            os.close(handle)
            raise failure from error
        except OSError:
            pass  # The file system has no such locks; SQLite's own locks still separate transactions.
        return cls(handle)

    def release(self) -> None:
        """Releases the lock."""
        unlock(self._handle)


def check_single_name(url: URL) -> None:
    """Raises LedgerInUse if another process holds the ledger and its file has several names (hard links).

    SQLite names its log after the file, so by another name it would not see that process's commits.
    """
    file = sqlite_file(url)
    if file is None or not file.is_file() or file.stat().st_nlink == 1:
        return
    handle = _open(file)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        names = os.fstat(handle).st_nlink
        raise _in_use(file, os.fstat(handle).st_ino, f", and has {names} names (hard links)") from error
    except OSError:
        pass
    finally:
        os.close(handle)


def _open(file: Path) -> int:
    failure: OSError | None = None
    # Open for writing first: an overlay file system then copies the file, and so changes its inode, before SQLite does.
    for flags in (os.O_RDWR, os.O_RDONLY):
        try:
            return os.open(file, flags | os.O_CLOEXEC)
        except OSError as error:
            failure = failure or error
    assert failure is not None  # noqa: S101
    raise LedgerError(f"the ledger {file} cannot be opened: {failure.strerror}") from failure


def _in_use(file: Path, inode: int, more: str = "") -> LedgerInUse:
    holder = _holder(inode)
    process = f"process {holder}" if holder else "another process"
    return LedgerInUse(
        f"the ledger {file} is in use by {process}{more}; stop it, or name another ledger with --data or --ledger"
    )


def _holder(inode: int, read: Callable[[], str] = Path("/proc/locks").read_text) -> int | None:
    """Returns the id of the process that holds a `flock` on an inode; None if it is unknown."""
    with suppress(OSError):
        for line in read().splitlines():
            words = line.split()  # `1: FLOCK  ADVISORY  WRITE 812 fe:00:2146753 0 EOF`
            if words[1:2] == ["FLOCK"] and words[5].endswith(f":{inode}"):
                return int(words[4]) or None
    return None
