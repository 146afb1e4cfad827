"""What can be wrong with an index folder, and how it is told."""

import errno
import re
from pathlib import Path


class IndexFolderError(Exception):
    """A folder, or a file of it, that is no index, is broken, or does not fit what is asked of it."""

    def __init__(self, path: Path | str, message: str, next_step: str = "") -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message, self.next_step = Path(path), message, next_step


def unreadable(path: Path, error: Exception) -> IndexFolderError:
    """What to say of a file that cannot be opened or read."""
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        step = "raise the limit, `ulimit -n 65536`; `glimpse index compact` then makes fewer files of it"
        return IndexFolderError(path, "is one file more than may be open at once", step)
    return IndexFolderError(path, f"cannot be read: {error}", "build the index anew")


def said(error: RuntimeError) -> str:
    """What FAISS says, without where in its sources it does."""
    return re.sub(r"^Error in .*? at \S+:\d+: (Error: )?", "", str(error), flags=re.DOTALL)
