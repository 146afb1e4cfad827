"""The folder for files that can be made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Returns the user's folder for files that can be made again.

    It is $GLIMPSE_CACHE, or `glimpse` in $XDG_CACHE_HOME, or ~/.cache/glimpse. Raises RuntimeError if there is no home
    folder.
    """
    if own := os.environ.get("GLIMPSE_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glimpse"
