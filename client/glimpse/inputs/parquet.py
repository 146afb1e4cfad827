"""Reads rows of Parquet with bounded memory: the size of a page is read from its header before it is decoded.

A few kilobytes of Parquet can claim gigabytes: by compression, by a dictionary with one long value that every row
repeats, or by lengths of lists. Arrow decodes all of it. Therefore columns of lists are rejected, the pages' sizes are
checked, and a batch has only as many rows as fit into `_BATCH_BYTES` in every encoding, or one row.
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
_MAX_BATCH_ROWS, _BATCH_BYTES = 1_024, 1 << 26
# A page of pictures is large, in the file too. A page that is small in the file and claims to be large is hostile.
_LARGE_PAGE, _MAX_PAGE, _MAX_RATIO = 1 << 25, 1 << 30, 20


class TableDamaged(Exception):
    """Raised for Parquet data that cannot be read, or that claims too much memory."""


def columns_of(path: Path) -> list[str]:
    """Returns the names of the columns.

    Raises:
        InputsError: pyarrow is not installed.
        OSError: The file cannot be opened.
        TableDamaged: The file is not valid Parquet.
    """
    with _open(path) as file:
        return list(file.schema_arrow.names)


def rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    """Yields row numbers from 1 and rows with the wanted columns.

    Raises:
        InputsError: pyarrow is not installed, or a wanted column holds lists.
        OSError: The file cannot be opened.
        TableDamaged: The data are damaged, or claim too much memory.
    """
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
        except Exception as error:  # hostile bytes make Arrow raise many unrelated classes
            raise TableDamaged(f"{error} (after row {number})") from error


def _open(path: Path) -> "pq.ParquetFile":
    try:
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        message = f"{legible(str(path))} is Parquet, which needs pyarrow"
        raise InputsError(message, "pip install 'glimpse-fewshot[index]'") from error
    path.open("rb").close()  # raises OSError here, so that errors below are about the content
    try:
        # With a buffer, Arrow reads a column page by page; without it, a whole row group is held in memory.
        return pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except Exception as error:
        raise TableDamaged(str(error)) from error


def _leaves(path: Path, file: "pq.ParquetFile", names: Collection[str]) -> list[int]:
    """Returns the numbers of the stored columns of `names`. Raises InputsError for lists, whose size has no bound."""
    leaves = []
    for number in range(len(file.schema)):
        column = file.schema.column(number)
        name = column.path.split(".")[0]
        if name in names:
            if column.max_repetition_level:
                raise InputsError(f"{legible(str(path))}: the column {name!r} holds lists", "use another column")
            leaves.append(number)
    return leaves


def _rows_at_once(file: "pq.ParquetFile", raw: BinaryIO, group: int, leaves: Collection[int]) -> int:
    """Returns how many rows of a row group to read at once. Raises TableDamaged if a page claims too much."""
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
    # In every encoding, a value is at most as long as its page or dictionary.
    return max(1, min(_MAX_BATCH_ROWS, _BATCH_BYTES // largest))


def _check_page(column: str, packed: int, plain: int) -> None:
    if plain > _MAX_PAGE or (plain > _LARGE_PAGE and plain > _MAX_RATIO * packed):
        raise TableDamaged(f"a page of {column!r} has {packed:,} bytes and claims to contain {plain:,}")
