"""A FAISS index as a file: whole, or an error."""

import errno
import os
from pathlib import Path
from typing import Any

import faiss

from glimpse.index.errors import said

# The generated types lack a name or two.
_faiss: Any = faiss


def write_faiss(index: Any, path: Path) -> None:
    """Writes the file. Raises OSError where not all of it is there: a disk is full."""
    try:
        _faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(errno.EIO, said(error), str(path)) from None
    # What fails as the file is closed, FAISS tells nobody but stderr.
    if path.stat().st_size != file_bytes(index):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def read_faiss(path: Path) -> Any:
    """Into memory, to be changed. Raises RuntimeError."""
    return _faiss.read_index(str(path))


def file_bytes(index: Any) -> int:
    """How many bytes its file has, which is not written."""
    counted = 0

    def count(part: bytes) -> None:
        nonlocal counted
        counted += len(part)

    writer = _faiss.PyCallbackIOWriter(count)
    _faiss.write_index(index, writer)
    del writer
    return counted
