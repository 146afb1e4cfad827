"""Creates files and folders that only their owner can read: a ledger, or a copy of it, contains all the data."""

import os
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Creates a folder with mode 0700, and its parents as usual; an existing one stays as it is. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def opener(path: str, flags: int) -> int:
    """Opens a file for `open(opener=…)`; a new file gets mode 0600. Raises OSError."""
    return os.open(path, flags, 0o600)


def make_database(file: Path) -> None:
    """Creates SQLite's empty file, whose mode SQLite copies to its log; an existing file stays as it is."""
    with suppress(OSError):  # SQLite reports a file that cannot be created
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
