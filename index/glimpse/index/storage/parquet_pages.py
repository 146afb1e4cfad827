"""Reads a shard's vectors in place, without a copy and without decoding.

A column that is not compressed, not encoded (PLAIN), without nulls, and with one page per row group ends with its
values in NumPy's form (https://parquet.apache.org/docs/file-format/data-pages/). Reading one row then takes some
microseconds instead of a millisecond, and 20,000 rows of a million tens of milliseconds instead of a second.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

_DATA_PAGE = 0
_MAX_HEADER = 64  # bytes; a header without statistics has about 25


def values_in_place(
    file: npt.NDArray[np.uint8], column: Any, rows: int, dimension: int, dtype: "np.dtype[Any]"
) -> npt.NDArray[Any] | None:
    """Returns the vectors of a row group, (rows, dimension), as a view of the file; None if they are stored
    differently.

    Args:
        file: the file's bytes.
        column: pyarrow's ColumnChunkMetaData of the vectors.
        rows: rows of the row group.
        dimension: dimension of a vector.
        dtype: type of a value.
    """
    size = rows * dimension * dtype.itemsize
    start, length = column.data_page_offset, column.total_compressed_size
    plain = column.compression == "UNCOMPRESSED" and not column.has_dictionary_page
    if not plain or column.num_values != rows * dimension or start < 0 or start + length > len(file):
        return None
    page = _page_size(file[start : start + _MAX_HEADER].tobytes())
    if page is None or not size <= page < length <= page + _MAX_HEADER:
        return None
    return file[start + length - size : start + length].view(dtype).reshape(rows, dimension)


def _page_size(header: bytes) -> int | None:
    """Returns the size of a data page; None for another page.

    The header is in Thrift's compact protocol: type, then two sizes, all i32.
    """
    numbers, at = [], 0
    for _ in range(3):
        # The field's number is one more than the last, its type i32.
        if header[at : at + 1] != b"\x15":
            return None
        number, at = _varint(header, at + 1)
        numbers.append(number >> 1)  # zigzag encoding; no number is negative
    kind, raw, compressed = numbers
    return raw if kind == _DATA_PAGE and raw == compressed else None


def _varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(content):
        byte = content[at]
        number, shift, at = number | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            break
    return number, at
