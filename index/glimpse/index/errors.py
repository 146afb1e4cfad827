"""Errors of index folders."""

import errno
import re
from pathlib import Path


class IndexFolderError(Exception):
    """Raised for a folder, or a file in it, that is not an index, is damaged, or does not fit the request.

    Attributes:
        path: the folder or file.
        message: what is wrong.
        next_step: what to do, if known.
    """

    def __init__(self, path: Path | str, message: str, next_step: str = "") -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message, self.next_step = Path(path), message, next_step


def unreadable(path: Path, error: Exception) -> IndexFolderError:
    """Returns the error for a file that cannot be opened or read."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        step = "raise the limit, `ulimit -n 65536`; `glimpse index compact` then reduces the number of files"
        return IndexFolderError(path, "cannot be opened: too many open files", step)
    return IndexFolderError(path, f"cannot be read: {error}", "build the index again")


def faiss_message(error: RuntimeError) -> str:
    """Returns FAISS's error message without the location in its sources."""
    return re.sub(r"^Error in .*? at \S+:\d+: (Error: )?", "", str(error), flags=re.DOTALL)
