"""A part of a copy on a device: vectors that only grow, with their ids and tombstones."""

from dataclasses import dataclass, field

import numpy as np

from glimpse.index.search.device import DeviceVectors
from glimpse.index.search.id_selectors import Mask
from glimpse.index.types import Ids, Vectors


def _none() -> Ids:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class IdOrder:
    """The ids of rows, and a way to find the row of an id.

    Attributes:
        ids: the id of each row, (N,).
        ascending: the ids in ascending order, (N,).
        rows: the row of each of them, (N,); equal ids are in the order of their rows.
    """

    ids: Ids = field(default_factory=_none)
    ascending: Ids = field(default_factory=_none)
    rows: Ids = field(default_factory=_none)

    def with_more(self, ids: Ids) -> "IdOrder":
        """Returns the order with more rows; takes 2 to 25 ms for 256,000 rows."""
        longer = np.concatenate([self.ids, ids])
        rows = np.argsort(longer, kind="stable")
        return IdOrder(longer, longer[rows], rows)

    def last_rows(self, ids: Ids) -> Ids:
        """Returns the last row of each id; unknown ids are left out."""
        if not len(self.ids):
            return _none()
        places = np.searchsorted(self.ascending, ids, "right") - 1
        known: Ids = self.rows[places[(places >= 0) & (self.ascending[places] == ids)]]
        return known


class DevicePart:
    """Vectors on a device with 64-bit ids. Its owner serialises every use.

    If an id is added again, its earlier row is a tombstone already.
    """

    def __init__(self, vectors: DeviceVectors) -> None:
        """Wraps an empty store of vectors."""
        self.vectors = vectors
        self.order = IdOrder()
        self._live: Mask = np.empty(0, bool)

    def __len__(self) -> int:
        return len(self._live)

    @property
    def count(self) -> int:
        """The number of vectors that are not deleted."""
        return int(np.count_nonzero(self._live))

    def publish(self, order: IdOrder, live: Mask) -> None:
        """Makes rows that were added to `vectors` known.

        Args:
            order: the order with the new rows.
            live: mask of the new rows that are not deleted, (n,).
        """
        self.order, self._live = order, np.concatenate([self._live, live])

    def bury(self, ids: Ids) -> None:
        """Marks ids as deleted and ignores unknown ones."""
        self._live[self.order.last_rows(ids)] = False

    def first_live(self, width: int) -> tuple[Ids, Vectors]:
        """Returns ids and vectors of the live rows among the `width` rows from the first live one on."""
        # A copy, because NumPy reads past the end of a mask that another thread clears at the same time.
        rows = np.flatnonzero(self._live.copy())
        if not len(rows):
            return _none(), np.empty((0, 0), np.float32)
        first, rows = int(rows[0]), rows[rows < rows[0] + width]
        block = self.vectors.reconstruct_n(first, int(rows[-1]) - first + 1)
        return self.order.ids[rows], block[rows - first]

    def ids_of(self, rows: Ids) -> Ids:
        """Returns the ids of a search's rows, (n, k); -1 for deleted and missing ones."""
        return np.where((rows >= 0) & self._live[rows], self.order.ids[rows], -1)
