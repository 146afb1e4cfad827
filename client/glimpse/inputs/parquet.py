"""Rows of Parquet with bounded memory: what a page would decode to is read from its header before it is decoded.

Arrow decodes what a file claims, and a few kilobytes can claim gigabytes: by compression, by a dictionary whose one
long value every row repeats, by lengths of lists. So lists are refused, pages are measured, and at a time only as many
rows are read as cannot take more than `_BATCH_BYTES`, whatever their encoding, or one row.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from glimpse.inputs.errors import InputsError
from glimpse.inputs.fields import legible
from glimpse.inputs.thrift import ThriftError, page_sizes

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Row = tuple[int, dict[str, Any]]
_MOST_ROWS, _BATCH_BYTES = 1_024, 1 << 26
# A page of pictures is large and takes as much in the file; a small part of a file that claims a large page is hostile.
_LARGE_PAGE, _LARGEST_PAGE, _RATIO = 1 << 25, 1 << 30, 20


class TableDamaged(Exception):
    """A table whose rest cannot be read."""


def columns_of(path: Path) -> list[str]:
    """The names of the columns. Raises InputsError, OSError, TableDamaged."""
    with _open(path) as file:
        return list(file.schema_arrow.names)


def rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    """Rows by number, from 1, with the columns wanted. Raises InputsError, OSError, TableDamaged."""
    number = 0
    with _open(path) as file, path.open("rb") as raw:
        names = [name for name in file.schema_arrow.names if name in wanted]
        leaves = _leaves(path, file, names)
        try:
            for group in range(file.num_row_groups):
                count = _rows_at_once(file, raw, group, leaves)
                for batch in file.iter_batches(count, row_groups=[group], columns=names, use_threads=False):
                    for record in batch.to_pylist():
                        number += 1
                        yield number, record
        except TableDamaged:
            raise
        except Exception as error:  # what Arrow makes of hostile bytes is of no one family
            raise TableDamaged(f"{error} (after row {number})") from error


def _open(path: Path) -> "pq.ParquetFile":
    try:
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise InputsError(f"{legible(str(path))} is Parquet, which pyarrow reads", "pip install pyarrow") from error
    path.open("rb").close()  # so that what Arrow raises below is about the bytes
    try:
        # Buffered, a column is read page by page; else a whole row group of it would lie in memory.
        return pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except Exception as error:
        raise TableDamaged(str(error)) from error


def _leaves(path: Path, file: "pq.ParquetFile", names: Collection[str]) -> list[int]:
    """The numbers of the stored columns that make up columns. Raises InputsError for lists, which have no bound."""
    leaves = []
    for number in range(len(file.schema)):
        column = file.schema.column(number)
        name = column.path.split(".")[0]
        if name in names:
            if column.max_repetition_level:
                raise InputsError(f"{legible(str(path))}: the column {name!r} holds lists", "name another column")
            leaves.append(number)
    return leaves


def _rows_at_once(file: "pq.ParquetFile", raw: BinaryIO, group: int, leaves: Collection[int]) -> int:
    """How many rows of a row group are read at a time. Raises TableDamaged where a page claims too much."""
    largest = 1
    for leaf in leaves:
        chunk = file.metadata.row_group(group).column(leaf)
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and 0 < (dictionary := chunk.dictionary_page_offset or 0) < start:
            start = dictionary
        try:
            for packed, plain in page_sizes(raw, start, chunk.total_compressed_size):
                _check_page(chunk.path_in_schema, packed, plain)
                largest = max(largest, plain)
        except ThriftError as error:
            raise TableDamaged(f"the pages of {chunk.path_in_schema!r} cannot be read: {error}") from error
    # No value is longer than its page or dictionary, in any encoding.
    return max(1, min(_MOST_ROWS, _BATCH_BYTES // largest))


def _check_page(column: str, packed: int, plain: int) -> None:
    if plain > _LARGEST_PAGE or (plain > _LARGE_PAGE and plain > _RATIO * packed):
        raise TableDamaged(f"a page of {column!r} takes {packed:,} bytes and claims to hold {plain:,}")
