"""The bytes of a FAISS file, walked in the order in which FAISS reads them, and never past their end."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_INNER_PRODUCT = 0
# Of the types that are made here none has more than five: an IndexRefine, its IndexPreTransform, lists, their centres.
_DEEPEST = 8


class UnsafeIndexFile(Exception):
    """What FAISS must not be given to read."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Of an index: vectors of how many coordinates, and how many."""

    dimension: int
    count: int


class FaissReader:
    """Where in a file one is. All that it gives is there; numbers are little-endian, as FAISS writes them."""

    def __init__(self, path: Path) -> None:
        """Maps the file. Raises OSError, and ValueError where it is empty."""
        self._content = np.memmap(path, np.uint8, "r")
        self._at = 0
        self._depth = 0

    def number(self, form: str) -> Any:
        """One, of a `struct` format."""
        (found,) = struct.unpack(f"<{form}", self.array("u1", struct.calcsize(f"<{form}")).tobytes())
        return found

    def real(self, least: float = -math.inf, most: float = math.inf) -> float:
        """A float in a range; NaN is in none."""
        found = float(self.number("f"))
        check(least <= found <= most, "a number out of range")
        return found

    def flag(self) -> bool:
        """A byte that C++ takes for a bool, and that has to be one."""
        found = self.number("B")
        check(found in (0, 1), "a flag that is neither 0 nor 1")
        return bool(found)

    def array(self, dtype: str, count: int) -> npt.NDArray[Any]:
        """So many values, in place."""
        kind = np.dtype(dtype).newbyteorder("<")
        end = self._at + count * kind.itemsize
        check(count >= 0 and end <= len(self._content), "more is declared than the file holds")
        found = self._content[self._at : end].view(kind)
        self._at = end
        return found

    def vector(self, dtype: str, count: int | None = None) -> npt.NDArray[Any]:
        """Values behind their number; `count`: that there have to be."""
        declared = int(self.number("Q"))
        check(count is None or declared == count, f"an array of {declared} values, where there are {count}")
        return self.array(dtype, declared)

    def rest(self, dtype: str, most: int) -> npt.NDArray[Any]:
        """What comes next, at most so many values, without going there."""
        kind = np.dtype(dtype).newbyteorder("<")
        return self._content[self._at : self._at + min(most, self.left // kind.itemsize) * kind.itemsize].view(kind)

    @property
    def left(self) -> int:
        """Bytes to the end."""
        return len(self._content) - self._at

    def header(self) -> Shape:
        """What every index begins with."""
        dimension, count, _, _ = self.number("i"), self.number("q"), self.number("q"), self.number("q")
        check(self.flag(), "it is not trained")
        check(self.number("i") == _INNER_PRODUCT, "it does not compare by inner product")
        check(dimension >= 1 and count >= 0, f"{count} vectors of {dimension} coordinates")
        return Shape(dimension, count)

    def deeper(self) -> None:
        """One index within another begins."""
        self._depth += 1
        check(self._depth <= _DEEPEST, "indexes within indexes without end")


def check(holds: bool, message: str) -> None:
    """Raises Hostile where it does not."""
    if not holds:
        raise UnsafeIndexFile(message)
