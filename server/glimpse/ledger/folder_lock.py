"""One process for each data folder."""

import fcntl
import os
from pathlib import Path

from glimpse.ledger.errors import DataFolderInUse
from glimpse.ledger.private import make_folder


class FolderLock:
    """Holds a data folder for this process: two servers would write each other's files."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._file = (folder / "lock").open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise DataFolderInUse(
                f"{folder} is in use by process {holder}; stop it, or give another folder with --data"
            ) from error
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Lets another process have the folder."""
        self._file.close()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.release()
