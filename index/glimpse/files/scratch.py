"""Temporary folders for results in progress; a killed process leaves none of them behind permanently."""

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

# A folder's name; and the file in it on which its process holds a lock while it lives.
_NAME: Final = re.compile(r"\..*\.[0-9a-f]{16}\.tmp")
_LOCK: Final = ".lock"
# Characters of the target's name that the folder's name includes; file systems limit the length of a name.
_SHOWN: Final = 40


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """Makes a folder next to `target`, for its owner only, and removes it at the end in every case.

    Before that, removes the folders of killed processes there. To publish a result, rename it out of the folder.

    Raises:
        OSError: the folder cannot be made.
    """
    remove_left(target.parent)
    folder, lock = _make(target)
    try:
        content = folder / "content"
        content.mkdir(mode=0o700)
        yield content
    finally:
        _remove(folder)
        os.close(lock)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Makes a folder as `scratch_beside` does, in the system folder for temporary files. Raises OSError."""
    with scratch_beside(Path(tempfile.gettempdir()) / "glimpse") as folder:
        yield folder


def remove_left(parent: Path) -> None:
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
        except FileNotFoundError:  # Another process saw an empty folder and removed it.
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.stat(folder / _LOCK)
        except (BlockingIOError, FileNotFoundError):  # Another process took the lock first and removes the folder.
            os.close(lock)
            continue
        except OSError:
            pass  # The file system has no locks, so no other process can take this lock either.
        return folder, lock


def _remove_if_left(folder: Path) -> None:
    """Removes the folder of a process that ended. Raises OSError if a process holds the lock, or the folder is another
    user's.
    """
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        return
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        folder.rmdir()  # Only an empty folder: its process was killed between two calls.
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Removes a folder whose lock is held. The lock goes last, because without it no process could remove the rest."""
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
