"""Vectors that come and go, on top of an index built in bulk whose rows only go."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.index.search.bulk_index import BulkIndex, ordered
from glimpse.index.search.flat_index import FlatIndex, Ids, Vectors
from glimpse.index.search.id_selectors import Mask

# Rows of an index have ids above those of what was added one by one.
_ROW_BITS = 40


@dataclass(frozen=True, slots=True)
class Among:
    """Which vectors a search is limited to: ids of what was added one by one, and rows below, (N,)."""

    ids: Ids
    rows: Mask


def first_id(generation: int) -> int:
    """The id of the first row of a bulk index. `generation`: 1 and up, another for each that a row could be of."""
    return generation << _ROW_BITS


@dataclass(slots=True)
class Base:
    """Some rows of a bulk index, known by the ids from `first` on."""

    index: BulkIndex
    first: int
    #: The rows that count, (N,); those deleted are taken out of it.
    live: Mask
    count: int

    @classmethod
    def of(cls, index: BulkIndex, generation: int, live: Mask) -> "Base":
        """`generation`: as for `first_id`."""
        return cls(index, first_id(generation), live, int(live.sum()))

    def rows(self, ids: Ids) -> Ids:
        """The rows of ids, (n,). Raises KeyError where one is of another index, or deleted."""
        rows = ids - self.first
        if not ((rows >= 0) & (rows < len(self.live))).all() or not self.live[rows].all():
            raise KeyError("one of the ids")
        return rows


class LayeredIndex:
    """Cosine search over unit vectors named by 64-bit ids: as FlatIndex, with the rows of a bulk index below.

    Deleted rows are tombstones, in every type of index alike. Safe to search from several threads, and beside changes;
    changed by one.
    """

    def __init__(self, dimension: int) -> None:
        self._living = FlatIndex(dimension)
        self._base: Base | None = None

    def __len__(self) -> int:
        base = self._base
        return len(self._living) + (base.count if base else 0)

    @property
    def scanned(self) -> int:
        """How many vectors a search compares one by one."""
        base = self._base
        return len(self._living) + (base.count if base and base.index.exhaustive else 0)

    @property
    def based(self) -> bool:
        """Whether rows of a bulk index are among them."""
        return self._base is not None and self._base.count > 0

    def lay(self, base: Base | None) -> None:
        """Puts rows of a bulk index below, in the place of those before."""
        self._base = base

    def reserve(self, count: int) -> None:
        """Takes the memory of so many vectors, before the first is added."""
        self._living.reserve(count)

    def add(self, ids: Sequence[int] | Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), under new ids, (n,)."""
        self._living.add(ids, vectors)

    def remove(self, ids: Sequence[int] | Ids) -> None:
        """Removes ids; unknown ones are ignored."""
        given = np.asarray(ids, np.int64)
        low = given < 1 << _ROW_BITS
        if low.any():
            self._living.remove(given[low])
        if (base := self._base) is not None and not low.all():
            rows = given[~low] - base.first
            rows = rows[(rows >= 0) & (rows < len(base.live))]
            base.live[rows] = False
            base.count = int(np.count_nonzero(base.live))

    def vector(self, id: int) -> Vectors:
        """The vector, (d,), of an id. Raises KeyError."""
        return np.asarray(self.vectors(np.array([id], np.int64))[0], np.float32)

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors of ids, (n,): (n, d). Raises KeyError where one is not there."""
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
        """The k nearest: cosines and ids, each (n, at most k), nearest first; id -1 where there are fewer.

        Exact but for the rows below, which their index finds as it was built to.

        Args:
            queries: (n, d), unit rows.
            k: at least 1.
            among: only these.
        """
        base, low = self._base, None if among is None else among.ids
        if base is None or not base.count:
            return self._living.search(queries, k, low)
        # A copy: rows may be deleted meanwhile.
        live = base.live.copy() if among is None else base.live & among.rows
        parts = []
        if len(self._living) and (low is None or len(low)):
            parts.append(self._living.search(queries, k, low))
        if live.any():
            similarities, rows = base.index.search(queries, k, None if live.all() else live)
            parts.append((similarities, np.where(rows < 0, -1, rows + base.first)))
        return _nearest(parts, len(queries), k)


def _nearest(parts: Sequence[tuple[Vectors, Ids]], count: int, k: int) -> tuple[Vectors, Ids]:
    """Of what several indexes found, (n, k') each, the k nearest."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.empty((count, 0), np.float32), np.empty((count, 0), np.int64)
    similarities = np.concatenate([cosines for cosines, _ in parts], axis=1)
    ids = np.concatenate([some for _, some in parts], axis=1)
    similarities, ids = ordered(similarities, ids)
    return similarities[:, :k], ids[:, :k]
