"""Files and folders for their owner alone: whoever reads a ledger, or a copy, has all that is in it."""

import os
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Makes a folder of mode 0700, and those above it as usual; one that is there stays as it is. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def opener(path: str, flags: int) -> int:
    """For `open`: a file that is made gets mode 0600. Raises OSError."""
    return os.open(path, flags, 0o600)


def make_database(file: Path) -> None:
    """Makes SQLite's empty file, whose mode those beside it take; one that is there stays as it is."""
    with suppress(OSError):  # where it cannot be made, SQLite says so
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
