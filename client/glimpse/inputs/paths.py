"""Files that a table names: the one place that opens a path which came with the data."""

import os
import re
import stat
from pathlib import Path

from glimpse.inputs.errors import FILE_UNREADABLE, PATH_OUTSIDE, ROW_MALFORMED, Rejected
from glimpse.inputs.fields import MAX_BYTES, legible

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


class TableFolder:
    """The folder of a table, below which the files that it names lie."""

    def __init__(self, folder: Path, *, allow_outside: bool = False) -> None:
        self._folder = folder
        self._root = os.path.realpath(self._folder)
        self._allow_outside = allow_outside

    def file(self, name: str) -> Path:
        """A file by the name that a row gives it. One that does not exist is left to its reader.

        Raises:
            Rejected: It is a URL, lies outside of the folder (by its name or through a link), is no regular file, or
                is too large.
        """
        shown = legible(name[:200])
        if _URL.match(name):
            raise Rejected("URL_NOT_FETCHED", f"{shown} is not fetched; download it, and name the file")
        if "\0" in name:
            raise Rejected(ROW_MALFORMED, f"{shown!r} is no path")
        path = self._folder / name
        real = os.path.realpath(path)
        if not self._allow_outside and os.path.commonpath((self._root, real)) != self._root:
            link = ", by a link" if self._looks_inside(path) else ""
            raise Rejected(PATH_OUTSIDE, f"{shown} lies outside of the table's folder{link}; add --allow-outside")
        try:
            state = os.stat(real)
        except OSError:
            return path
        if not stat.S_ISREG(state.st_mode):  # a pipe, which may never end
            raise Rejected(FILE_UNREADABLE, f"{shown} is no regular file")
        if state.st_size > MAX_BYTES:
            raise Rejected("FILE_TOO_LARGE", f"{shown} has {state.st_size:,} bytes; at most {MAX_BYTES:,}")
        return path

    def _looks_inside(self, path: Path) -> bool:
        folder = os.path.abspath(self._folder)
        return os.path.commonpath((folder, os.path.abspath(path))) == folder
