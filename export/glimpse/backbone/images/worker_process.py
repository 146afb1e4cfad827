"""Starts a decoding process and exchanges requests and answers with it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from multiprocessing.connection import Connection

from glimpse.backbone.images.decode_worker import PIXELS, SHARED_PIXELS
from glimpse.backbone.images.limits import ImageLimits
from glimpse.backbone.images.shared_block import SharedBlock, new_block
from glimpse.backbone.manifest import ImageRule
from glimpse.backbone.region import Region

# Environment variables that a worker needs, none of which may hold a secret. HOME is needed because packages may be
# installed there.
_ENVIRONMENT = ("PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "LANG")
# Otherwise NumPy's libraries start a thread for each core.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Size of the socket's buffer, so that a photograph passes in few pieces.
_BUFFER_BYTES = 1 << 20


class WorkerProcess:
    """One decoding process, the socket to it and the block that it shares. Only one thread at a time may use it."""

    def __init__(self, limits: ImageLimits) -> None:
        ours, theirs = socket.socketpair()
        with theirs, new_block() as block:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            self._connection = Connection(ours.detach())
            self._block = SharedBlock(block)
            descriptors = [theirs.fileno(), block]
            module = [sys.executable, "-P", "-m", "glimpse.backbone.images.decode_worker"]
            self._process = subprocess.Popen(
                [*module, *map(str, descriptors), json.dumps(asdict(limits))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=descriptors,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _ONE_THREAD,
            )
        self.ready = False

    @property
    def alive(self) -> bool:
        """True while the process runs."""
        return self._process.poll() is None

    def ask(
        self, data: bytes, rule: ImageRule, memory_bytes: int, regions: Sequence[Region]
    ) -> tuple[bytes, memoryview]:
        """Sends a picture, and the regions to decode if not the whole of it.

        Returns the answer's first byte and its content. Raises EOFError or OSError if the process ends before it
        answers.
        """
        if not self.ready:
            self._connection.recv_bytes()
            self.ready = True
        shared = self._block.write(data)
        request = {
            "memory_bytes": memory_bytes,
            "rule": _text(rule),
            "kind": type(rule).__name__,
            "regions": regions,
            "bytes": len(data),
            "shared": shared,
        }
        self._connection.send_bytes(json.dumps(request).encode())
        if not shared:
            self._connection.send_bytes(data)
        answer = self._connection.recv_bytes()
        if answer == SHARED_PIXELS:
            return PIXELS, memoryview(self._block.read(3 * rule.size**2 * max(1, len(regions))))
        return answer[:1], memoryview(answer)[1:]

    def wait(self) -> int:
        """Waits for the process, which has closed its end of the socket, and returns its exit code."""
        return self._process.wait()

    def kill(self) -> None:
        """Kills the process; a thread that waits for its answer gets EOFError."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Closes the socket and the block of a process that has ended."""
        self._connection.close()
        self._block.close()


@lru_cache(maxsize=16)
def _text(rule: ImageRule) -> str:
    return rule.model_dump_json()
