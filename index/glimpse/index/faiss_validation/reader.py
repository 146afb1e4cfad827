"""Reads the bytes of a FAISS file in the order in which FAISS does, and never beyond their end."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_INNER_PRODUCT = 0
# Limit of nested indexes. The types built here have at most five: an IndexRefine, its IndexPreTransform, lists, their
# centres.
_MAX_DEPTH = 8


class UnsafeIndexFile(Exception):
    """Raised for a file that FAISS must not read."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of an index: the dimension of its vectors, and their number."""

    dimension: int
    count: int


class FaissReader:
    """A position in a file. Returned values are always within the file; numbers are little-endian, as in FAISS."""

    def __init__(self, path: Path) -> None:
        """Maps the file. Raises OSError, or ValueError for an empty file."""
        self._content = np.memmap(path, np.uint8, "r")
        self._at = 0
        self._depth = 0

    def number(self, form: str) -> Any:
        """Reads a number in a `struct` format."""
        (value,) = struct.unpack(f"<{form}", self.array("u1", struct.calcsize(f"<{form}")).tobytes())
        return value

    def real(self, least: float = -math.inf, most: float = math.inf) -> float:
        """Reads a float and checks its range; NaN is in no range."""
        value = float(self.number("f"))
        check(least <= value <= most, "a number out of range")
        return value

    def flag(self) -> bool:
        """Reads a C++ bool and checks that it is 0 or 1."""
        value = self.number("B")
        check(value in (0, 1), "a flag that is neither 0 nor 1")
        return bool(value)

    def array(self, dtype: str, count: int) -> npt.NDArray[Any]:
        """Reads `count` values, without a copy."""
        kind = np.dtype(dtype).newbyteorder("<")
        end = self._at + count * kind.itemsize
        check(count >= 0 and end <= len(self._content), "more is declared than the file holds")
        values = self._content[self._at : end].view(kind)
        self._at = end
        return values

    def vector(self, dtype: str, count: int | None = None) -> npt.NDArray[Any]:
        """Reads an array that starts with its length; `count` is the expected length."""
        declared = int(self.number("Q"))
        check(count is None or declared == count, f"an array of {declared} values, expected {count}")
        return self.array(dtype, declared)

    def rest(self, dtype: str, most: int) -> npt.NDArray[Any]:
        """Returns the next values, at most `most`, without moving the position."""
        kind = np.dtype(dtype).newbyteorder("<")
        return self._content[self._at : self._at + min(most, self.left // kind.itemsize) * kind.itemsize].view(kind)

    @property
    def left(self) -> int:
        """The number of bytes to the end."""
        return len(self._content) - self._at

    def header(self) -> Shape:
        """Reads the header of an index and returns its shape."""
        dimension, count, _, _ = self.number("i"), self.number("q"), self.number("q"), self.number("q")
        check(self.flag(), "the index is not trained")
        check(self.number("i") == _INNER_PRODUCT, "the metric is not inner product")
        check(dimension >= 1 and count >= 0, f"{count} vectors of {dimension} coordinates")
        return Shape(dimension, count)

    def deeper(self) -> None:
        """Counts a nested index. Raises UnsafeIndexFile if there are too many."""
        self._depth += 1
        check(self._depth <= _MAX_DEPTH, "too many nested indexes")


def check(holds: bool, message: str) -> None:
    """Raises UnsafeIndexFile with `message` if `holds` is false."""
    if not holds:
        raise UnsafeIndexFile(message)
