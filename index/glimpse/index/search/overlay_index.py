"""Vectors that change, above an index folder whose rows can only be deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glimpse.index.search.flat_index import FlatIndex
from glimpse.index.search.id_selectors import Mask
from glimpse.index.search.result_order import ordered
from glimpse.index.types import Ids, Vectors

if TYPE_CHECKING:
    from glimpse.index.search.bulk_index import BulkIndex
    from glimpse.index.search.device import Device

# Rows of an index folder have larger ids than vectors that were added one by one.
_ROW_BITS = 40


@dataclass(frozen=True, slots=True)
class Among:
    """The vectors that a search is limited to.

    Attributes:
        ids: ids of vectors that were added one by one.
        rows: mask of the index folder's rows, (N,).
    """

    ids: Ids
    rows: Mask


def first_id(generation: int) -> int:
    """Returns the id of the first row of an index folder.

    Args:
        generation: at least 1, different for each folder that a row may belong to.
    """
    return generation << _ROW_BITS


@dataclass(slots=True)
class Base:
    """Some rows of an index folder, with the ids from `first` on.

    Attributes:
        index: the opened folder.
        first: id of its first row.
        live: mask of the rows that are not deleted, (N,).
        count: number of live rows.
    """

    index: "BulkIndex"
    first: int
    live: Mask
    count: int

    @classmethod
    def of(cls, index: "BulkIndex", generation: int, live: Mask) -> "Base":
        """Creates the layer; see `first_id` for `generation`."""
        return cls(index, first_id(generation), live, int(live.sum()))

    def rows(self, ids: Ids) -> Ids:
        """Returns the rows of ids, (n,). Raises KeyError if an id is of another index or deleted."""
        rows = ids - self.first
        if not ((rows >= 0) & (rows < len(self.live))).all() or not self.live[rows].all():
            raise KeyError("one of the ids")
        return rows


class LayeredIndex:
    """Cosine search over unit vectors with 64-bit ids, like FlatIndex, with the rows of an index folder below.

    Deleted rows are tombstones in every type of index. Several threads may search, also during a change; only one
    thread may change it.
    """

    def __init__(self, dimension: int) -> None:
        self._living = FlatIndex(dimension)
        self._base: Base | None = None

    def search_on(self, device: "Device") -> None:
        """Searches the vectors that were added one by one on a device, once there are enough of them."""
        from glimpse.index.search.copied_index import CopiedIndex  # imported only where there is a device

        if not isinstance(self._living, CopiedIndex):
            self._living = CopiedIndex(self._living, device)

    def __len__(self) -> int:
        base = self._base
        return len(self._living) + (base.count if base else 0)

    @property
    def scanned(self) -> int:
        """The number of vectors that a search compares one by one."""
        base = self._base
        return len(self._living) + (base.count if base and base.index.exhaustive else 0)

    @property
    def based(self) -> bool:
        """True if there are live rows of an index folder."""
        return self._base is not None and self._base.count > 0

    def lay(self, base: Base | None) -> None:
        """Replaces the layer of an index folder."""
        self._base = base

    def reserve(self, count: int) -> None:
        """Allocates memory for `count` vectors, before the first is added."""
        self._living.reserve(count)

    def add(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), with new ids, (n,)."""
        self._living.add(ids, vectors)

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Removes ids and ignores unknown ones."""
        requested = np.asarray(ids, np.int64)
        low = requested < 1 << _ROW_BITS
        if low.any():
            self._living.remove(requested[low])
        if (base := self._base) is not None and not low.all():
            rows = requested[~low] - base.first
            rows = rows[(rows >= 0) & (rows < len(base.live))]
            base.live[rows] = False
            base.count = int(np.count_nonzero(base.live))

    def vector(self, id: int) -> Vectors:
        """Returns the vector of an id, (d,). Raises KeyError."""
        return np.asarray(self.vectors(np.array([id], np.int64))[0], np.float32)

    def vectors(self, ids: Ids) -> Vectors:
        """Returns the vectors, (n, d), of ids, (n,). Raises KeyError if an id is unknown."""
        low, base = ids < 1 << _ROW_BITS, self._base
        if low.all():
            return self._living.vectors(ids)
        if base is None:
            raise KeyError("one of the ids")
        high = base.index.vectors(base.rows(ids[~low]))
        if not low.any():
            return high
        found = np.empty((len(ids), high.shape[1]), np.float32)
        found[low], found[~low] = self._living.vectors(ids[low]), high
        return found

    def search(self, queries: Vectors, k: int, among: Among | None = None) -> tuple[Vectors, Ids]:
        """Finds the k nearest vectors of each query.

        The search is exact, except for the index folder's rows, which are found as its type allows.

        Args:
            queries: unit vectors, (n, d).
            k: at least 1.
            among: the vectors to search; None for all.

        Returns:
            Cosines and ids, each (n, at most k), nearest first; id -1 if there are fewer.
        """
        base, low = self._base, None if among is None else among.ids
        if base is None or not base.count:
            return self._living.search(queries, k, low)
        # A copy, because rows may be deleted during the search.
        live = base.live.copy() if among is None else base.live & among.rows
        parts = []
        if len(self._living) and (low is None or len(low)):
            parts.append(self._living.search(queries, k, low))
        if live.any():
            similarities, rows = base.index.search(queries, k, None if live.all() else live)
            parts.append((similarities, np.where(rows < 0, -1, rows + base.first)))
        return _nearest(parts, len(queries), k)


def _nearest(parts: Sequence[tuple[Vectors, Ids]], count: int, k: int) -> tuple[Vectors, Ids]:
    """Merges results of several indexes, (n, k') each, and keeps the k nearest."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.empty((count, 0), np.float32), np.empty((count, 0), np.int64)
    similarities = np.concatenate([cosines for cosines, _ in parts], axis=1)
    ids = np.concatenate([some for _, some in parts], axis=1)
    similarities, ids = ordered(similarities, ids)
    return similarities[:, :k], ids[:, :k]
