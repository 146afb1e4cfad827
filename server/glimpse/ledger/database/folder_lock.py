"""Locks a data folder for one process."""

import os
from pathlib import Path

from glimpse.ledger.database.file_permissions import make_folder, opener
from glimpse.ledger.database.process_lock import lock, unlock
from glimpse.ledger.errors import DataFolderInUse, LedgerError


class FolderLock:
    """Holds a data folder for this process: two servers would overwrite each other's files."""

    def __init__(self, folder: Path) -> None:
        """Takes the lock. Raises DataFolderInUse, or LedgerError if the folder cannot be locked."""
        make_folder(folder)
        file = folder / "lock"
        try:
            self._handle = opener(str(file), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
        except OSError as error:
            raise LedgerError(f"{file} cannot be written: {error.strerror}; give another folder with --data") from error
        try:
            lock(self._handle)
        except BlockingIOError as error:
            # The file is empty between another process's lock and its writing of its id.
            holder = os.read(self._handle, 32).decode("ascii", "replace").strip()
            process = f"process {holder}" if holder else "another process"
            os.close(self._handle)
            raise DataFolderInUse(
                f"{folder} is in use by {process}; stop it, or give another folder with --data"
            ) from error
        except OSError as error:
            os.close(self._handle)
            raise LedgerError(
                f"{folder} cannot be locked: {error.strerror}; give a folder on a local disk with --data"
            ) from error
        os.truncate(self._handle, 0)
        os.write(self._handle, str(os.getpid()).encode())

    def release(self) -> None:
        """Releases the folder."""
        unlock(self._handle)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.release()
