"""The vectors of a copy on a device: parts on the device, and a tail of new ones on the processor."""

import threading
from typing import Final

import numpy as np

from glimpse.index.search.combined_search import Found
from glimpse.index.search.device_rows.part import DevicePart, IdOrder
from glimpse.index.search.flat_index import FlatIndex
from glimpse.index.types import Ids, Vectors


class CopyContents:
    """The vectors of a copy, each in a part or in the tail. Callers that change or read them hold `lock`.

    The lock is never held during work on the device.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension: Final = dimension
        self.lock: Final = threading.Lock()
        self.parts: list[DevicePart] = []
        self.tail = FlatIndex(dimension)
        # Ids that are removed while their vectors are on the way to the device; None if none are on the way.
        self._removed: list[Ids] | None = None

    @property
    def count(self) -> int:
        """The number of vectors that are not deleted."""
        return len(self.tail) + sum(part.count for part in self.parts)

    @property
    def rows(self) -> int:
        """The number of vectors that a search compares, deleted ones included."""
        return len(self.tail) + sum(map(len, self.parts))

    @property
    def tail_bytes(self) -> int:
        """Float32 bytes of the tail."""
        return len(self.tail) * self._dimension * 4

    def put(self, ids: Ids, vectors: Vectors) -> None:
        """Adds vectors, (n, d), to the tail; earlier ones with the same ids, (n,), become tombstones."""
        self.bury(ids)
        self.tail.add(ids, vectors)

    def bury(self, ids: Ids) -> None:
        """Removes ids from the tail, makes them tombstones in the parts, and ignores unknown ones."""
        for part in self.parts:
            part.bury(ids)
        self.tail.remove(ids)
        if self._removed is not None:
            self._removed.append(ids)

    def begin_move(self) -> None:
        """Notes from now on which ids are removed."""
        self._removed = []

    def cancel_move(self) -> None:
        """Ends a move of which nothing arrived."""
        self._removed = None

    def end_move(self, ids: Ids, part: DevicePart, order: IdOrder, source: DevicePart | None) -> None:
        """Makes moved vectors known, but for those that were removed on the way.

        Args:
            ids: their ids, (n,), in the order of their rows.
            part: the part that they were added to.
            order: its order with the new rows.
            source: the part that they are removed from; None: the tail.
        """
        live = ~np.isin(ids, np.concatenate([np.empty(0, np.int64), *(self._removed or [])]))
        self._removed = None
        (self.tail.remove if source is None else source.bury)(ids[live])
        part.publish(order, live)

    def clear(self) -> list[DevicePart]:
        """Removes everything and returns the parts; freeing them is a use of the device."""
        parts, self.parts, self.tail, self._removed = self.parts, [], FlatIndex(self._dimension), None
        return parts

    def search(self, queries: Vectors, k: int) -> Found:
        """Searches all parts and the tail, as `GrowingCopy.search` says.

        Takes the lock itself. The device is held, so no part changes but for tombstones.
        """
        found = [(part, *part.vectors.search(queries, k)) for part in self.parts if len(part)]
        with self.lock:  # a vector that is replaced at this moment has either its old or its new row
            results = [(np.where(rows < 0, -np.inf, cosines), part.ids_of(rows)) for part, cosines, rows in found]
            results.append(self.tail.search(queries, k))
        cosines = np.concatenate([cosines for cosines, _ in results], axis=1).astype(np.float32, copy=False)
        ids = np.concatenate([ids for _, ids in results], axis=1)
        missing = ((0, 0), (0, max(0, k - ids.shape[1])))
        cosines = np.pad(cosines, missing, constant_values=-np.inf)
        ids = np.pad(ids, missing, constant_values=-1)
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(cosines, nearest, 1), np.take_along_axis(ids, nearest, 1)
