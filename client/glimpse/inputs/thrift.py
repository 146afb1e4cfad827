"""Reads the sizes of Parquet pages from their headers: https://parquet.apache.org/docs/file-format/.

A header is a struct in Thrift's compact protocol. Only its second and third field are needed. The others are skipped,
because a page begins where its header ends.
"""

from collections.abc import Iterator
from typing import BinaryIO

_PLAIN_SIZE, _PACKED_SIZE = 2, 3  # fields of a PageHeader
_HEAD = 1 << 16  # maximum bytes of a header, whose statistics contain values
_MAX_DEPTH = 8
# Types of the compact protocol.
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)


class ThriftError(ValueError):
    """Raised for bytes that are not a page header."""


def page_sizes(file: BinaryIO, start: int, length: int) -> Iterator[tuple[int, int]]:
    """Yields for each page of a column chunk its bytes in the file and its bytes after decompression.

    Args:
        file: The Parquet file.
        start: The offset of the chunk's first page.
        length: The bytes of the chunk.

    Raises:
        ThriftError: A header is broken, or a page extends beyond the chunk.
        OSError: The file cannot be read.
    """
    position, end = start, start + length
    while position < end:
        file.seek(position)
        header = _Header(file.read(min(_HEAD, end - position)))
        sizes = header.fields()
        packed, plain = sizes.get(_PACKED_SIZE, -1), sizes.get(_PLAIN_SIZE, -1)
        position += header.position + packed
        if packed < 0 or plain < 0 or position > end:
            raise ThriftError("a page has no size, or extends beyond its column")
        yield packed, plain


class _Header:
    """Reads bytes as a struct of the compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def fields(self, depth: int = 0) -> dict[int, int]:
        """Returns the integers of a struct by field, and skips everything else. Raises ThriftError."""
        numbers, field = dict[int, int](), 0
        while head := self._byte():
            kind, step = head & 0x0F, head >> 4
            field = field + step if step else self._signed()
            if kind in (_I16, _I32, _I64):
                numbers[field] = self._signed()
            elif kind not in (_TRUE, _FALSE):
                self._skip(kind, depth + 1)
        return numbers

    def _skip(self, kind: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ThriftError("nested too deep")
        if kind in (_BYTE, _TRUE, _FALSE):  # in lists, a boolean has a byte of its own
            self._advance(1)
        elif kind in (_I16, _I32, _I64):
            self._unsigned()
        elif kind == _DOUBLE:
            self._advance(8)
        elif kind == _BINARY:
            self._advance(self._unsigned())
        elif kind in (_LIST, _SET):
            self._skip_list(depth)
        elif kind == _STRUCT:
            self.fields(depth)
        else:  # page headers have no maps
            raise ThriftError(f"an unknown type {kind}")

    def _skip_list(self, depth: int) -> None:
        head = self._byte()
        count = head >> 4
        for _ in range(self._unsigned() if count == 15 else count):
            self._skip(head & 0x0F, depth + 1)

    def _byte(self) -> int:
        self._advance(1)
        return self._data[self.position - 1]

    def _advance(self, count: int) -> None:
        self.position += count
        if self.position > len(self._data):
            raise ThriftError("the header does not end")

    def _unsigned(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ThriftError("a number does not end")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
