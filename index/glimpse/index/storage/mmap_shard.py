"""One shard's file, mapped into memory."""

import mmap
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.index.errors import IndexFolderError, unreadable
from glimpse.index.storage.parquet_pages import values_in_place
from glimpse.index.storage.shard import schema_of


class MappedShard:
    """A mapped shard, which stays readable if its file is replaced or removed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                # mmap raises ValueError for an empty file.
                self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            self._parquet = pq.ParquetFile(pa.BufferReader(self._map))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise unreadable(path, error) from None
        self.schema = schema_of(self._parquet.schema_arrow, path)
        self._vectors = self.schema.field("vector").type
        self._dtype = np.dtype(self._vectors.value_type.to_pandas_dtype())
        self.vector_type = self._dtype.name
        metadata = self._parquet.metadata
        self.rows = int(metadata.num_rows)
        self.groups = int(metadata.num_row_groups)
        sizes = [metadata.row_group(i).num_rows for i in range(self.groups)]
        self._starts = [0, *accumulate(sizes)]
        if self._starts[-1] != self.rows:
            raise IndexFolderError(path, "does not have the rows that it declares", "build the index again")
        self._groups: list[npt.NDArray[Any] | None] | None = None
        # pyarrow does not document that several threads may read one ParquetFile.
        self._lock = threading.Lock()

    def column(self, name: str, group: int | None = None) -> pa.ChunkedArray:
        """Returns a column, or its part in one row group. Raises IndexFolderError."""
        groups = range(self.groups) if group is None else [group]
        return self._read(groups, [name]).column(0)

    def tables(self) -> Iterator[pa.Table]:
        """Yields the row groups as they are stored. Raises IndexFolderError."""
        for group in range(self.groups):
            yield self._read([group], self.schema.names).cast(self.schema)
            self.forget(group)

    def group(self, row: int) -> tuple[int, int, int]:
        """Returns the row group of a row, the group's first row and its number of rows."""
        group = bisect_right(self._starts, row) - 1
        return group, self._starts[group], self._starts[group + 1] - self._starts[group]

    def vectors(self, group: int) -> npt.NDArray[Any]:
        """Returns the stored vectors of a row group, (rows, d). Raises IndexFolderError."""
        if self._groups is None:
            self._groups = self._in_place()
        vectors = self._groups[group]
        if vectors is not None:
            return vectors
        values = self.column("vector", group).combine_chunks().flatten()
        if values.null_count:
            raise IndexFolderError(self.path, "has vectors with missing values", "build the index again")
        return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, self._vectors.list_size)

    def forget(self, group: int) -> None:
        """Releases a row group's memory; the system keeps a copy while it has room."""
        column = self._parquet.metadata.row_group(group).column(len(self.schema) - 1)
        start = column.data_page_offset // mmap.PAGESIZE * mmap.PAGESIZE
        self._map.madvise(mmap.MADV_DONTNEED, start, column.data_page_offset + column.total_compressed_size - start)

    def _read(self, groups: Sequence[int], names: list[str]) -> pa.Table:
        try:
            with self._lock:
                # pyarrow's own threads would come on top of those of the caller.
                table = self._parquet.read_row_groups(groups, columns=names, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise unreadable(self.path, error) from None
        # A file may declare other row groups than it has.
        if len(table) != sum(self._starts[group + 1] - self._starts[group] for group in groups):
            raise IndexFolderError(self.path, "does not have the rows that it declares", "build the index again")
        return table

    def _in_place(self) -> list[npt.NDArray[Any] | None]:
        content, metadata = np.frombuffer(self._map, np.uint8), self._parquet.metadata
        last, d = len(self.schema) - 1, self._vectors.list_size
        groups = [metadata.row_group(i) for i in range(self.groups)]
        return [values_in_place(content, group.column(last), group.num_rows, d, self._dtype) for group in groups]
