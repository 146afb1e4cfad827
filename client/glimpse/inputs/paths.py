"""Resolves the files that a table names. All paths from data go through this module."""

import os
import re
import stat
from pathlib import Path

from glimpse.inputs.errors import FILE_UNREADABLE, PATH_OUTSIDE, ROW_MALFORMED, Rejected
from glimpse.inputs.fields import MAX_BYTES, legible

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")


class TableFolder:
    """The folder of a table. The files that the table names must be below it, unless `allow_outside` is set."""

    def __init__(self, folder: Path, *, allow_outside: bool = False) -> None:
        self._folder = folder
        self._root = os.path.realpath(self._folder)
        self._allow_outside = allow_outside

    def file(self, name: str) -> Path:
        """Returns the file that a row names. A file that does not exist is returned too; its reader reports it.

        Raises:
            Rejected: The name is a URL or not a path; or the file is outside of the folder (by its name or by a link),
                not a regular file, or too large.
        """
        shown = legible(name[:200])
        if _URL.match(name):
            raise Rejected(
                "URL_NOT_FETCHED", f"{shown} is a URL, which is not downloaded; download it and name the file"
            )
        if "\0" in name:
            raise Rejected(ROW_MALFORMED, f"{shown!r} is not a path")
        path = self._folder / name
        real = os.path.realpath(path)
        if not self._allow_outside and os.path.commonpath((self._root, real)) != self._root:
            link = ", by a link" if self._looks_inside(path) else ""
            raise Rejected(PATH_OUTSIDE, f"{shown} is outside of the table's folder{link}; add --allow-outside")
        try:
            state = os.stat(real)
        except OSError:
            return path
        if not stat.S_ISREG(state.st_mode):  # a pipe may never end
            raise Rejected(FILE_UNREADABLE, f"{shown} is not a regular file")
        if state.st_size > MAX_BYTES:
            raise Rejected("FILE_TOO_LARGE", f"{shown} has {state.st_size:,} bytes; the limit is {MAX_BYTES:,}")
        return path

    def _looks_inside(self, path: Path) -> bool:
        folder = os.path.abspath(self._folder)
        return os.path.commonpath((folder, os.path.abspath(path))) == folder
