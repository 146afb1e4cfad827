"""Decodes pictures in processes, for many threads and within a budget of memory.

A thread that decodes cannot be stopped, and sometimes holds the interpreter's lock; a process has neither problem. A
picture that needs much memory waits until the budget has room for it, and smaller pictures pass it.
"""

import json
import signal
import threading
import weakref
from collections.abc import Sequence
from queue import LifoQueue

import numpy as np
import numpy.typing as npt

from glimpse.backbone.errors import InputError, LargeImage
from glimpse.backbone.images.decode_worker import FILE, LARGE, PIXELS, REFUSED, SMALL_BYTES
from glimpse.backbone.images.limits import ImageLimits
from glimpse.backbone.images.memory_budget import MemoryBudget
from glimpse.backbone.images.worker_process import WorkerProcess
from glimpse.backbone.manifest import ImageRule
from glimpse.backbone.region import Region

Pixels = npt.NDArray[np.uint8]


class DecoderPool:
    """Decodes pictures in worker processes. It is thread-safe and starts workers on demand."""

    def __init__(self, workers: int, limits: ImageLimits) -> None:
        """Creates a pool without starting a process.

        Args:
            workers: the most processes.
            limits: limits of pictures; `decode_bytes` is also the budget that all large pictures share.
        """
        self._limits = limits
        self._idle: LifoQueue[WorkerProcess | None] = LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._started: set[WorkerProcess] = set()
        self._budget = MemoryBudget(limits.decode_bytes)
        self._lock, self._closed = threading.Lock(), False
        self._end = weakref.finalize(self, _kill_all, self._started)

    def decode(self, data: bytes, rule: ImageRule) -> Pixels:
        """Decodes a picture of any size.

        Returns:
            Pixels, uint8 (size, size, 3).

        Raises:
            InputError: see `decode_image`.
        """
        try:
            return self.decode_small(data, rule)
        except LargeImage as large:
            return self.decode_large(data, rule, large)

    def decode_small(self, data: bytes, rule: ImageRule, regions: Sequence[Region] = ()) -> Pixels:
        """Decodes a picture that needs little memory.

        Args:
            data: the encoded picture.
            rule: the resize that follows, a Thumbnail or a Crop.
            regions: n parts of the picture, for which it is decoded once; none for the whole picture. A Crop has one.

        Returns:
            Pixels, uint8 (size, size, 3), or (n, size, size, 3) of regions; of a Thumbnail the bytes of a JPEG and of a
            Crop those of a PNG, uint8 (bytes,).

        Raises:
            InputError: see `decode_image` and `decode_regions`.
            LargeImage: the picture needs more memory; pass this to `decode_large`.
        """
        return self._run(data, rule, SMALL_BYTES, regions)

    def decode_large(self, data: bytes, rule: ImageRule, large: LargeImage, regions: Sequence[Region] = ()) -> Pixels:
        """Decodes a picture that `decode_small` refused, after waiting for room in the budget. Raises InputError."""
        with self._budget.taken(large.memory_bytes):
            return self._run(data, rule, large.memory_bytes, regions)

    def start(self) -> None:
        """Starts a worker before the first picture arrives, without waiting for it."""
        worker = self._idle.get()
        self._idle.put(worker or self._start())

    def close(self) -> None:
        """Kills all workers. Threads that wait for one get RuntimeError."""
        with self._lock:
            self._closed = True
        self._end()

    def _run(self, data: bytes, rule: ImageRule, memory_bytes: int, regions: Sequence[Region]) -> Pixels:
        worker = self._idle.get()
        try:
            worker = self._kept(worker) or self._start()
            answer = self._ask(worker, data, rule, memory_bytes, regions)
        finally:
            self._idle.put(self._kept(worker))
        if answer is None:
            return self._run(data, rule, memory_bytes, regions)
        return self._pixels(answer, rule, len(regions))

    def _ask(
        self, worker: WorkerProcess, data: bytes, rule: ImageRule, memory_bytes: int, regions: Sequence[Region]
    ) -> tuple[bytes, memoryview] | None:
        """Returns a worker's answer; None if the worker had exited by itself before the request."""
        try:
            return worker.ask(data, rule, memory_bytes, regions)
        except (EOFError, OSError):
            if failure := self._failure(worker):
                raise failure from None
            return None

    def _pixels(self, answer: tuple[bytes, memoryview], rule: ImageRule, regions: int) -> Pixels:
        kind, content = answer
        if kind == PIXELS:
            shape = (rule.size, rule.size, 3)
            return np.frombuffer(content, np.uint8).reshape((regions, *shape) if regions else shape)
        if kind == FILE:
            return np.frombuffer(content, np.uint8)
        if kind == LARGE:
            raise LargeImage(int(bytes(content)))
        assert kind == REFUSED, kind  # noqa: S101 (the worker sends no other kind)
        raise InputError(*json.loads(bytes(content)))

    def _start(self) -> WorkerProcess:
        with self._lock:
            if self._closed:
                raise RuntimeError("the decoders are closed")
            worker = WorkerProcess(self._limits)
            self._started.add(worker)
            return worker

    def _kept(self, worker: WorkerProcess | None) -> WorkerProcess | None:
        if worker is None or worker.alive:
            return worker
        worker.close()
        with self._lock:
            self._started.discard(worker)
        return None

    def _failure(self, worker: WorkerProcess) -> Exception | None:
        """Returns why a worker gave no answer; None if it had exited by itself before the request."""
        if self._closed:
            return RuntimeError("the decoders are closed")
        code = worker.wait()
        if not worker.ready:
            return RuntimeError(f"a decoder did not start (exit code {code})")
        if code == 0:
            return None
        if code == -signal.SIGPROF:
            return InputError("IMAGE_TOO_COMPLEX", "decoding it takes too long for its size")
        if code == -signal.SIGKILL:
            return InputError("IMAGE_TOO_LARGE", "the system killed its decoder, most likely because memory ran out")
        return InputError("IMAGE_DAMAGED", f"it crashed the decoder (exit code {code})")


def _kill_all(workers: set[WorkerProcess]) -> None:
    for worker in list(workers):
        worker.kill()
