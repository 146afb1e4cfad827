"""A device for copies of vectors that stands in for a GPU: it computes on the processor what FAISS computes there."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import faiss
import numpy as np

from glimpse.index import Device, Ids, Vectors


def halved(vectors: Vectors) -> Vectors:
    """Returns vectors rounded to 16 bits."""
    return vectors.astype(np.float16).astype(np.float32)


class HalfVectors:
    """Vectors in 16 bits that only grow, searched by inner products of rounded vectors, for at most 2,048 results."""

    def __init__(self, device: "FakeDevice", dimension: int) -> None:
        self._device = device
        self._index = faiss.IndexFlatIP(dimension)

    def add(self, vectors: Vectors) -> None:
        self._device.use("add")
        self._index.add(halved(vectors))

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        assert k <= 2_048
        self._device.use("search")
        cosines, rows = self._index.search(halved(queries), k)
        return cosines, rows

    def reconstruct_n(self, start: int, count: int) -> Vectors:
        self._device.use("read")
        return np.asarray(self._index.reconstruct_n(start, count), np.float32)

    def __del__(self) -> None:
        self._device.freed += 1
        self._device.freed_unheld += not self._device.lock.locked()


class FakeDevice:
    """Counts the uses of a device, checks that it is held, and can fail.

    Attributes:
        uses: the number of uses by name.
        free: free bytes.
        failing: the use that fails, or an empty string.
        hook: called in each use, with its name.
        freed: the number of stores that were freed; `freed_unheld`: while the device was not held.
    """

    def __init__(self, free: int = 1 << 30) -> None:
        self.lock, self.free, self.failing = threading.Lock(), free, ""
        self.uses = {"add": 0, "search": 0, "read": 0}
        self.created = self.freed = self.freed_unheld = 0
        self.hook: Callable[[str], None] = lambda _: None

    def use(self, name: str) -> None:
        assert self.lock.locked(), f"{name} without the device's lock"
        self.uses[name] += 1
        if self.failing == name:
            raise RuntimeError("CUDA error 700: an illegal memory access was encountered")
        self.hook(name)

    def create(self, dimension: int) -> HalfVectors:
        assert self.lock.locked()
        self.created += 1
        return HalfVectors(self, dimension)

    def device(self, start: Callable[[Callable[[], None]], object] = lambda work: work(), min_bytes: int = 1) -> Device:
        """Returns the device; `start` runs work in the background, at once by default."""
        lock: AbstractContextManager[object] = self.lock
        return Device(self.create, lambda: self.free, lock, min_bytes, start)
