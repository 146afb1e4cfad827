"""The shards of an index as one sequence of rows."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from glimpse.index.errors import IndexFolderError
from glimpse.index.storage.mmap_shard import MappedShard
from glimpse.index.storage.shard import GROUP, SHARD_SIZE, rows_table, schema, write_shard
from glimpse.index.types import Ids, Vectors

__all__ = ["GROUP", "SHARD_SIZE", "Codes", "Shards", "rows_table", "schema", "write_shard"]

Codes = npt.NDArray[np.int32]


class Shards:
    """The rows of several shards, numbered in order. It is thread-safe."""

    def __init__(self, paths: Sequence[Path], dimension: int | None = None) -> None:
        """Opens the shards and reads only their metadata.

        Args:
            paths: in order.
            dimension: expected dimension; None for that of the first shard. Required without paths.

        Raises:
            IndexFolderError: a shard is not valid or has another dimension.
        """
        self._files = [MappedShard(path) for path in paths]
        found = {file.schema.field("vector").type.list_size for file in self._files}
        self.dimension: int = dimension or next(iter(found), 0)
        for file in self._files:
            own = file.schema.field("vector").type.list_size
            if own != self.dimension:
                raise IndexFolderError(file.path, f"its vectors have {own} coordinates, others {self.dimension}")
        self._starts = [0, *accumulate(file.rows for file in self._files)]

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def paths(self) -> list[Path]:
        """The shards' paths, in order."""
        return [file.path for file in self._files]

    @property
    def rows(self) -> list[int]:
        """The number of rows of each shard."""
        return [file.rows for file in self._files]

    @property
    def vector_types(self) -> set[str]:
        """The vector types of all shards; an index has one."""
        return {file.vector_type for file in self._files}

    def column(self, name: str) -> pa.ChunkedArray:
        """Returns a whole column other than `vector`."""
        return pa.chunked_array(list(self.pieces(name)), schema(1, "float32").field(name).type)

    def pieces(self, name: str) -> Iterator[pa.Array]:
        """Yields a column other than `vector`, shard by shard."""
        return (chunk for file in self._files for chunk in file.column(name).chunks)

    def codes(self, name: str) -> tuple[list[str], Codes]:
        """Returns the distinct names of `label` or `domain`, sorted, and each row's position in them, (N,); -1 for
        none.
        """
        parts = self.column(name).dictionary_encode().chunks
        # Each chunk's dictionary has the names of the chunks before it, and its own.
        names = [str(name) for name in parts[-1].dictionary.to_pylist()] if parts else []
        order = sorted(range(len(names)), key=names.__getitem__)
        places = np.full(len(names) + 1, -1, np.int32)
        places[order] = np.arange(len(names))
        codes = [places[part.indices.fill_null(-1).to_numpy()] for part in parts]
        return [names[i] for i in order], np.concatenate([np.empty(0, np.int32), *codes])

    def cell(self, name: str, row: int) -> Any:
        """Returns one value as a Python object. Raises IndexError."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        file, within = self._place(row)
        group, first, _ = file.group(within)
        return file.column(name, group)[within - first].as_py()

    def blocks(self, rows: int = 8 * GROUP) -> Iterator[Vectors]:
        """Yields all vectors in order, (rows, d) each; the last block of a shard may be shorter. Memory holds one
        block.

        A block never spans two shards, so workers that process shards separately get the same blocks.
        """
        for begin, end in pairwise(self._starts):
            for start in range(begin, end, rows):
                stop = min(start + rows, end)
                block = np.empty((stop - start, self.dimension), np.float32)
                for file, group, first, last, at in self._groups(start, stop):
                    block[at : at + last - first] = file.vectors(group)[first:last]
                    file.forget(group)
                yield _unit(block)

    def lengths(self) -> Iterator[Vectors]:
        """Yields the lengths of the stored vectors, in order and in parts."""
        for file in self._files:
            for group in range(file.groups):
                yield np.linalg.norm(file.vectors(group).astype(np.float32), axis=1)
                file.forget(group)

    def tables(self, keep: "npt.NDArray[np.bool_] | None" = None) -> Iterator[pa.Table]:
        """Yields rows as they are stored, in order, in parts of at most a row group.

        Args:
            keep: mask of the rows, (N,); None for all.
        """
        at = 0
        for file in self._files:
            for table in file.tables():
                kept = table if keep is None else table.filter(pa.array(keep[at : at + len(table)]))
                at += len(table)
                if len(kept):
                    yield kept

    def vectors(self, rows: Ids | Sequence[int], *, once: bool = False) -> Vectors:
        """Returns the unit vectors, (n, d), of rows, (n,), in that order.

        Args:
            rows: row numbers.
            once: True releases the memory of each row group after it is read, for rows from the whole index.

        Raises:
            IndexError: there is no such row.
        """
        wanted = np.asarray(rows, np.int64)
        if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError("no such row")
        vectors = np.empty((len(wanted), self.dimension), np.float32)
        order = np.argsort(wanted, kind="stable")
        ordered, at = wanted[order], 0
        while at < len(ordered):
            file, within = self._place(int(ordered[at]))
            group, first, size = file.group(within)
            first += int(ordered[at]) - within
            end = int(np.searchsorted(ordered, first + size))
            vectors[order[at:end]] = file.vectors(group)[ordered[at:end] - first]
            if once:
                file.forget(group)
            at = end
        return _unit(vectors)

    def _place(self, row: int) -> tuple[MappedShard, int]:
        shard = bisect_right(self._starts, row) - 1
        return self._files[shard], row - self._starts[shard]

    def _groups(self, start: int, stop: int) -> Iterator[tuple[MappedShard, int, int, int, int]]:
        """Yields file, row group, the part of it, and its position in the rows from `start` to `stop`."""
        at = start
        while at < stop:
            file, within = self._place(at)
            group, before, size = file.group(within)
            first = within - before
            last = min(size, first + stop - at)
            yield file, group, first, last, at - start
            at += last - first


def _unit(vectors: Vectors) -> Vectors:
    """Normalises vectors in place, as float16 rounding changes their length; vectors without direction become or stay
    0.
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    vectors /= np.where(lengths > 0, lengths, 1)[:, None]
    # NaN has no direction either.
    vectors[~np.isfinite(lengths)] = 0
    return vectors
