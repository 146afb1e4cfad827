"""Writes and reads FAISS files; a file is complete, or there is an error."""

import errno
import os
from pathlib import Path
from typing import Any

import faiss

from glimpse.index.errors import faiss_message

# FAISS's type stubs lack some names.
_faiss: Any = faiss


def write_faiss(index: Any, path: Path) -> None:
    """Writes an index to a file.

    Raises:
        OSError: the file is not complete, for example because the disk is full.
    """
    try:
        _faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(errno.EIO, faiss_message(error), str(path)) from None
    # FAISS reports errors of closing a file only on stderr.
    if path.stat().st_size != file_bytes(index):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def read_faiss(path: Path) -> Any:
    """Reads an index into memory, where it can be changed. Raises RuntimeError."""
    return _faiss.read_index(str(path))


def file_bytes(index: Any) -> int:
    """Returns the size of an index's file in bytes, without writing it."""
    counted = 0

    def count(part: bytes) -> None:
        nonlocal counted
        counted += len(part)

    writer = _faiss.PyCallbackIOWriter(count)
    _faiss.write_index(index, writer)
    del writer
    return counted
