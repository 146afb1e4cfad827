"""What can be wrong with an index folder."""

from pathlib import Path


class IndexFolderError(Exception):
    """A folder, or a file of it, that is no index, is broken, or does not fit what is asked of it."""

    def __init__(self, path: Path | str, message: str, next_step: str = "") -> None:
        super().__init__(f"{path}: {message}")
        self.path, self.message, self.next_step = Path(path), message, next_step
