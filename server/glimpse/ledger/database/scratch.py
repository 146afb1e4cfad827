"""Temporary folders in which a result is built before it gets its name. A killed process leaves nothing for good."""

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

# Pattern of a folder's name, and the file in it that its process keeps locked.
_NAME: Final = re.compile(r"\..*\.[0-9a-f]{16}\.tmp")
_LOCK: Final = ".lock"
# Characters of the target's name in the folder's name; file systems limit the length of names.
_SHOWN: Final = 40


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """Creates a private folder on the target's disk and removes it at the end, in every outcome.

    First removes the folders of processes that were killed. Move the finished result out of the folder. Raises OSError.
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
        except FileNotFoundError:  # Another process saw the empty folder and removed it.
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.stat(folder / _LOCK)
        except (BlockingIOError, FileNotFoundError):  # Another process took the lock first and removes the folder.
            os.close(lock)
            continue
        except OSError:
            pass  # The file system has no locks, so no other process can take this one either.
        return folder, lock


def _remove_if_left(folder: Path) -> None:
    """Removes a folder. Raises OSError if a process holds it, or it belongs to another user."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        folder.rmdir()  # Succeeds only if empty: its process was killed between two calls.
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Removes a folder whose lock is held. The lock file goes last: without it no process could remove the rest."""
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
