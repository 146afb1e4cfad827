"""Processes that decode pictures for many threads, within a budget of memory.

A decode in a thread cannot be ended, and holds the interpreter's lock at times; one in a process can, and does not. A
picture that takes much memory waits until the budget has room for it; others pass it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing.connection import Connection
from queue import LifoQueue

import numpy as np
import numpy.typing as npt

from glimpse.backbone.errors import InputError, LargeImage
from glimpse.backbone.images.decode_worker import LARGE, PIXELS, REFUSED, SMALL_BYTES
from glimpse.backbone.images.preprocess import ImageLimits
from glimpse.backbone.manifest import ImageRule

Pixels = npt.NDArray[np.uint8]
# What a worker needs of the environment; nothing that may be a secret. Packages may be installed in the user's home.
_ENVIRONMENT = ("PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "LANG")
# NumPy's libraries start threads for each core otherwise.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Of the socket: a photograph goes through in few pieces.
_BUFFER_BYTES = 1 << 20


class DecoderPool:
    """Decodes in worker processes. Thread-safe; workers start when they are needed."""

    def __init__(self, workers: int, limits: ImageLimits) -> None:
        """`workers`: the most processes. `limits.decode_bytes` is the budget of all large pictures together."""
        self._limits = limits
        self._idle: LifoQueue[_Worker | None] = LifoQueue()
        for _ in range(workers):
            self._idle.put(None)
        self._started: set[_Worker] = set()
        self._budget = _Budget(limits.decode_bytes)
        self._lock, self._closed = threading.Lock(), False
        self._end = weakref.finalize(self, _kill_all, self._started)

    def decode(self, data: bytes, rule: ImageRule) -> Pixels:
        """Decodes a picture of any size: uint8 (size, size, 3). Raises InputError, as `decode_image` does."""
        try:
            return self.decode_small(data, rule)
        except LargeImage as large:
            return self.decode_large(data, rule, large)

    def decode_small(self, data: bytes, rule: ImageRule) -> Pixels:
        """Decodes a picture that takes little memory. Raises InputError, and LargeImage where it takes more."""
        return self._run(data, rule, SMALL_BYTES)

    def decode_large(self, data: bytes, rule: ImageRule, large: LargeImage) -> Pixels:
        """Decodes what `decode_small` refused, when the budget has room. Raises InputError."""
        with self._budget.taken(large.memory_bytes):
            return self._run(data, rule, large.memory_bytes)

    def start(self) -> None:
        """Starts a worker ahead of the first picture, and does not wait for it."""
        worker = self._idle.get()
        self._idle.put(worker or self._start())

    def close(self) -> None:
        """Ends all workers at once, whatever they decode: those who wait for one get RuntimeError."""
        with self._lock:
            self._closed = True
        self._end()

    def _run(self, data: bytes, rule: ImageRule, memory_bytes: int) -> Pixels:
        worker = self._idle.get()
        try:
            worker = self._kept(worker) or self._start()
            answer = self._ask(worker, data, rule, memory_bytes)
        finally:
            self._idle.put(self._kept(worker))
        return self._pixels(answer, rule) if answer else self._run(data, rule, memory_bytes)

    def _ask(self, worker: "_Worker", data: bytes, rule: ImageRule, memory_bytes: int) -> bytes:
        """A worker's answer; none where it had ended by itself before it was asked."""
        try:
            return worker.ask(data, rule, memory_bytes)
        except (EOFError, OSError):
            if failure := self._failure(worker):
                raise failure from None
            return b""

    def _pixels(self, answer: bytes, rule: ImageRule) -> Pixels:
        kind, content = answer[:1], memoryview(answer)[1:]
        if kind == PIXELS:
            return np.frombuffer(content, np.uint8).reshape(rule.size, rule.size, 3)
        if kind == LARGE:
            raise LargeImage(int(bytes(content)))
        assert kind == REFUSED, kind  # noqa: S101 (both ends are ours)
        raise InputError(*json.loads(bytes(content)))

    def _start(self) -> "_Worker":
        with self._lock:
            if self._closed:
                raise RuntimeError("the decoders are closed")
            worker = _Worker(self._limits)
            self._started.add(worker)
            return worker

    def _kept(self, worker: "_Worker | None") -> "_Worker | None":
        if worker is None or worker.alive:
            return worker
        worker.close()
        with self._lock:
            self._started.discard(worker)
        return None

    def _failure(self, worker: "_Worker") -> Exception | None:
        """Why a worker gave no answer; None where it had ended by itself before it was asked."""
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
            return InputError("IMAGE_TOO_LARGE", "the system ended its decoder, most likely for want of memory")
        return InputError("IMAGE_DAMAGED", f"it ended the decoder (exit code {code})")


class _Worker:
    """One process, and the socket to it. Used by one thread at a time."""

    def __init__(self, limits: ImageLimits) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            self._connection = Connection(ours.detach())
            descriptor = theirs.fileno()
            module = [sys.executable, "-P", "-m", "glimpse.backbone.images.decode_worker"]
            self._process = subprocess.Popen(
                [*module, str(descriptor), json.dumps(asdict(limits))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[descriptor],
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _ONE_THREAD,
            )
        self.ready = False

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, data: bytes, rule: ImageRule, memory_bytes: int) -> bytes:
        """One picture's answer. Raises EOFError or OSError where the process ends before it."""
        if not self.ready:
            self._connection.recv_bytes()
            self.ready = True
        self._connection.send_bytes(json.dumps({"memory_bytes": memory_bytes, "rule": rule.model_dump_json()}).encode())
        self._connection.send_bytes(data)
        return self._connection.recv_bytes()

    def wait(self) -> int:
        """The exit code of a process that has closed its end."""
        return self._process.wait()

    def kill(self) -> None:
        """Ends the process; a thread that waits for its answer gets EOFError."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Closes the socket of a process that has ended."""
        self._connection.close()


def _kill_all(workers: set[_Worker]) -> None:
    for worker in list(workers):
        worker.kill()


class _Budget:
    """Bytes that are handed out; who finds too few waits, in order."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._turn, self._changed = threading.Lock(), threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        with self._turn, self._changed:  # the first in the queue alone waits for bytes
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
