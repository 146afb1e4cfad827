"""Builds indexes that rescore what they found, `BASE,Refine(SQ…)`, without their rescoring codes in memory.

These codes are most of such an index: 1,024 of 1,160 bytes a vector for float16 and d = 512. A build needs them only to
tune the search parameters, which reads a few thousand. So they are encoded block by block into the file, and the file
is mapped to tune it. The file has the bytes that FAISS writes for the same index in memory.
"""

import re
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import faiss

from glimpse.index.building.train import Make, thread_count, trained_empty
from glimpse.index.progress import Watch
from glimpse.index.storage.shard_set import Shards
from glimpse.index.types import Vectors

# FAISS's type stubs lack some names.
_faiss: Any = faiss

_FACTORY = re.compile(r"(?P<base>.+),Refine\((?P<code>SQ\w+)\)")
# The end of the file without codes: their number of bytes, which is 0, and k_factor.
_SIZE, _FACTOR = struct.Struct("<Q"), struct.Struct("<f")


class Types(NamedTuple):
    """Factory strings of the index that finds, and of the codes that rescore."""

    base: str
    code: str


def rescored_types(factory: str) -> Types | None:
    """Returns the two types in a factory string `BASE,Refine(SQ…)`; None for any other."""
    match = _FACTORY.fullmatch(factory)
    return Types(match["base"], match["code"]) if match else None


class RescoredIndex:
    """An index with its base in memory and its rescoring codes in a file."""

    def __init__(self, base: Any, rescoring: Any, path: Path) -> None:
        """Wraps a filled base and a trained `IndexScalarQuantizer` without rows; `make` builds both."""
        rescoring.ntotal = base.ntotal  # as in the file
        self._rescoring, self._path = rescoring, path
        self.index = _faiss.IndexRefine(base, rescoring)

    @classmethod
    def make(
        cls, shards: Shards, types: Types, path: Path, threads: int, make: Make, progress: Watch
    ) -> "RescoredIndex":
        """Trains and fills the base, and writes the whole index to a file.

        Args:
            shards: the rows, at least one.
            types: the factory strings.
            path: the file to write.
            threads: threads of FAISS.
            make: trains and fills the base.
            progress: reports progress.

        Raises:
            RuntimeError: FAISS cannot build a type.
            OSError: the file cannot be written.
        """
        rescoring = trained_empty(shards, types.code, threads)
        made = cls(make(shards, types.base, threads, progress), rescoring, path)
        with progress("rescoring codes", len(shards)) as advance, thread_count(threads):
            made._write(shards.blocks(), advance)
        return made

    def mapped(self) -> Any:
        """Returns the whole index, mapped from its file."""
        return faiss.read_index(str(self._path), _faiss.IO_FLAG_MMAP_IFC)

    def rewrite(self) -> None:
        """Writes the search parameters of `index` into the file. Raises OSError."""
        with self._path.open("r+b") as file:
            self._write_base(file)
            file.seek(-_FACTOR.size, 2)
            file.write(_FACTOR.pack(self.index.k_factor))

    def _write(self, blocks: Iterable[Vectors], advance: Callable[[int], object]) -> None:
        with self._path.open("wb") as file:
            self._write_base(file)
            file.write(_SIZE.pack(self.index.ntotal * self._rescoring.sa_code_size()))
            for block in blocks:
                file.write(self._rescoring.sa_encode(block).data)
                advance(len(block))
            file.write(_FACTOR.pack(self.index.k_factor))

    def _write_base(self, file: BinaryIO) -> None:
        """Writes everything before the codes."""
        kept = b""

        def write(part: bytes) -> None:
            nonlocal kept
            parts = kept + part
            file.write(memoryview(parts)[: -_SIZE.size - _FACTOR.size])
            kept = parts[-_SIZE.size - _FACTOR.size :]

        writer = _faiss.PyCallbackIOWriter(write)
        _faiss.write_index(self.index, writer)
        del writer
        if kept != _SIZE.pack(0) + _FACTOR.pack(self.index.k_factor):
            raise RuntimeError("FAISS's file of an index that rescores does not end with its codes")
