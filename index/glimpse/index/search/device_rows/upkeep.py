"""Moves the vectors of a copy to the device, and rewrites parts that have many tombstones."""

from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np

from glimpse.index.search.device import COORDINATE_BYTES, PART_ROWS, Device
from glimpse.index.search.device_rows.contents import CopyContents
from glimpse.index.search.device_rows.part import DevicePart
from glimpse.index.types import Ids, Vectors

# Rows moved to the device while holding it once.
_MOVED = 1 << 14
# Float32 bytes of new vectors that the processor compares itself, in about 0.03 ms a query; more are moved.
_TAIL_BYTES = 1 << 20
# A part with fewer live rows than this share is rewritten.
_LIVE_SHARE = 0.5
Read = Callable[[int], tuple[Ids, Vectors]]


def has_room(device: Device, rows: int, dimension: int) -> bool:
    """Returns whether a device has room for a copy of `rows` vectors.

    A part more than it needs, so that a copy which was given up is not made and given up again and again.
    """
    return device.fits(rows + PART_ROWS, dimension)


class DeviceFull(Exception):
    """The device has no memory for more vectors."""


class Upkeep:
    """The work on the device that keeps a copy's contents there, for one thread at a time."""

    def __init__(self, device: Device, dimension: int, contents: CopyContents) -> None:
        """Works on `contents`, whose lock it takes."""
        self._device: Final = device
        self._dimension: Final = dimension
        self._contents: Final = contents

    def next_step(self) -> Callable[[], None] | None:
        """Returns what is due, or None. The lock of the contents is held, but not when the step is called."""
        if self._sparse() is not None:
            return self._rewrite
        if self._contents.tail_bytes > _TAIL_BYTES:
            return partial(self.move, self._first_of_tail)
        return None

    def _sparse(self) -> DevicePart | None:
        """Returns a part with many tombstones, or None. The lock is held."""
        return next((part for part in self._contents.parts if part.count < _LIVE_SHARE * len(part)), None)

    def _first_of_tail(self, room: int) -> tuple[Ids, Vectors]:
        tail = self._contents.tail
        return tail.present(tail.ids()[:room])

    def _rewrite(self) -> None:
        """Moves the live rows of a part with many tombstones to the end, block by block, and drops the part."""
        contents = self._contents
        with contents.lock:
            part = self._sparse()
        while part is not None and part.count:
            self.move(part.first_live, part)
        with self._device.lock:
            with contents.lock:
                contents.parts = [kept for kept in contents.parts if kept is not part]
            part = None  # frees its memory, which is a use of the device

    def move(self, read: Read, source: DevicePart | None = None) -> None:
        """Adds a block of vectors to the last part.

        Args:
            read: returns ids and vectors, at most as many as it is asked for; called while holding the device if there
                is a source.
            source: the part that the block is removed from; None: it is removed from the tail, if it is there.

        Raises:
            DeviceFull: the memory does not suffice.
        """
        part, contents = self._open_part(source), self._contents
        with contents.lock:
            contents.begin_move()
        room = min(_MOVED, PART_ROWS - len(part))
        if source is None:
            ids, vectors = read(room)
        else:
            with self._device.lock:
                ids, vectors = read(room)
        if not len(ids):  # all of them were removed at this moment
            with contents.lock:
                contents.cancel_move()
            return
        self._check_room(len(part) + len(ids))
        order = part.order.with_more(ids)
        with self._device.lock:
            part.vectors.add(np.ascontiguousarray(vectors, np.float32))
            with contents.lock:
                contents.end_move(ids, part, order, source)

    def _open_part(self, source: DevicePart | None) -> DevicePart:
        """Returns the last part if it has room and is not the source, or a new one."""
        parts = self._contents.parts
        last = parts[-1] if parts else None
        if last is not None and last is not source and len(last) < PART_ROWS:
            return last
        with self._device.lock:
            part = DevicePart(self._device.create(self._dimension))
            with self._contents.lock:
                self._contents.parts.append(part)
        return part

    def _check_room(self, rows: int) -> None:
        """Raises DeviceFull if there is no memory for a part of `rows` rows beside the present one."""
        if not self._device.fits(rows, self._dimension):
            raise DeviceFull(
                f"{rows * self._dimension * COORDINATE_BYTES / 1e6:.0f} MB are needed, "
                f"{self._device.free_bytes() / 1e6:.0f} MB are free"
            )
