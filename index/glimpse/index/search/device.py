"""The device that changing vectors are copied to: what it is asked for, and the first GPU as one."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from glimpse.index.types import Ids, Vectors

# Part of the free memory that copies may take; searches and the encoder need the rest.
SHARE = 0.8
#: Bytes of a coordinate on the device: vectors are stored in half precision.
COORDINATE_BYTES = 2


class DeviceVectors(Protocol):
    """Vectors on a device, in half precision, in the order in which they were added. None can be removed."""

    def add(self, vectors: Vectors, /) -> None:
        """Adds vectors, (n, d)."""

    def search(self, queries: Vectors, k: int, /) -> tuple[Vectors, Ids]:
        """Returns the inner products and the rows of the k largest, each (n, k); row -1 if there are fewer."""

    def reconstruct_n(self, start: int, count: int, /) -> Vectors:
        """Returns the vectors, (count, d), of the rows from `start` on."""


#: Rows of one index on the device. A query is compared with all of them at once, in temporary memory. Growing such an
#: index copies it, so this also bounds the memory that growing needs.
PART_ROWS = 1 << 18
#: The most results of a search on a device: FAISS's limit on a GPU.
MAX_RESULTS = 2_048
#: What a failed device holds. Freeing it is a use of the device, which can end the process.
ABANDONED: list[object] = []


def in_thread(work: Callable[[], None]) -> None:
    """Runs work in a thread of its own; not at all while the interpreter ends."""
    with suppress(RuntimeError):
        threading.Thread(target=work, name="index-copy").start()


def free(lock: AbstractContextManager[object], kept: list[Any]) -> None:
    """Frees what is kept on a device, which is a use of the device."""
    with lock:
        kept.clear()


@dataclass(frozen=True, slots=True)
class Device:
    """A device. It serves one thread at a time.

    Attributes:
        create: returns an empty store of vectors of a dimension.
        free_bytes: returns the free memory.
        lock: held during each use.
        min_bytes: bytes of the vectors in float32 from which on they are copied.
        start: runs work in the background.
    """

    create: Callable[[int], DeviceVectors]
    free_bytes: Callable[[], int]
    lock: AbstractContextManager[object]
    min_bytes: int
    start: Callable[[Callable[[], None]], object] = in_thread

    def fits(self, rows: int, dimension: int) -> bool:
        """Returns whether there is memory for this many more vectors."""
        return rows * dimension * COORDINATE_BYTES <= SHARE * self.free_bytes()


def first_gpu(min_bytes: int) -> Device | None:
    """Returns the first GPU as a device, or None if FAISS can use none; see `Device` for `min_bytes`."""
    from glimpse.index.search.cuda import free_bytes, gpu_count
    from glimpse.index.search.gpu import GPU_LOCK, create_flat

    return Device(create_flat, free_bytes, GPU_LOCK, min_bytes) if gpu_count() else None
