"""Folders to write in until a result is whole: a process that is killed leaves nothing there for good."""

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# A folder's name, and the file in it that its process holds a lock on for as long as it lives.
_NAME: Final = re.compile(r"\..*\.[0-9a-f]{16}\.tmp")
_LOCK: Final = ".lock"
# Characters of the target's name that the folder's name shows: names have a longest length.
_SHOWN: Final = 40


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """Makes a folder on the target's disk, for its owner alone; it is removed at the end, in every outcome.

    First removes the folders there of processes that were killed, whatever they wrote. Rename what is whole out of the
    folder. Raises OSError.
    """
    remove_leftovers(target.parent)
    folder, lock = _make(target)
    try:
        content = folder / "content"
        content.mkdir(mode=0o700)
        yield content
    finally:
        _remove(folder)
        os.close(lock)


def remove_leftovers(parent: Path) -> None:
    """Removes the folders in `parent` whose process ended without removing them."""
    with suppress(OSError):
        for folder in [Path(entry) for entry in os.scandir(parent) if _NAME.fullmatch(entry.name)]:
            with suppress(OSError):
                _remove_if_left(folder)


def _make(target: Path) -> tuple[Path, int]:
    while True:
        folder = target.with_name(f".{target.name[:_SHOWN]}.{secrets.token_hex(8)}.tmp")
        folder.mkdir(mode=0o700)
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # Another process saw an empty folder, and removed it.
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.stat(folder / _LOCK)
        except (BlockingIOError, FileNotFoundError):  # Another process took the lock first, and removes the folder.
            os.close(lock)
            continue
        except OSError:
            pass  # A file system without locks: then nobody else can take this one either.
        return folder, lock


def _remove_if_left(folder: Path) -> None:
    """Raises OSError where a process holds the folder, or it is another user's."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        folder.rmdir()  # Only an empty one: its process was killed between two calls.
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Removes a folder whose lock is held. The lock goes last: without it nobody could remove the rest."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.name == _LOCK:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        os.unlink(folder / _LOCK)
        folder.rmdir()
