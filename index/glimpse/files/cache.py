"""The folder for files that can be made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns the user's folder for files that can be made again. Raises RuntimeError if there is no home folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glimpse"
