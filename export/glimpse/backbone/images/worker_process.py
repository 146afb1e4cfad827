"""Starts a decoding process and exchanges requests and answers with it."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from multiprocessing.connection import Connection

from glimpse.backbone.images.limits import ImageLimits
from glimpse.backbone.manifest import ImageRule

# Environment variables that a worker needs, none of which may hold a secret. HOME is needed because packages may be
# installed there.
_ENVIRONMENT = ("PATH", "HOME", "PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "LANG")
# Otherwise NumPy's libraries start a thread for each core.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Size of the socket's buffer, so that a photograph passes in few pieces.
_BUFFER_BYTES = 1 << 20


class WorkerProcess:
    """One decoding process and the socket to it. Only one thread at a time may use it."""

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
        """True while the process runs."""
        return self._process.poll() is None

    def ask(self, data: bytes, rule: ImageRule, memory_bytes: int) -> bytes:
        """Sends a picture and returns the answer. Raises EOFError or OSError if the process ends before it answers."""
        if not self.ready:
            self._connection.recv_bytes()
            self.ready = True
        self._connection.send_bytes(json.dumps({"memory_bytes": memory_bytes, "rule": rule.model_dump_json()}).encode())
        self._connection.send_bytes(data)
        return self._connection.recv_bytes()

    def wait(self) -> int:
        """Waits for the process, which has closed its end of the socket, and returns its exit code."""
        return self._process.wait()

    def kill(self) -> None:
        """Kills the process; a thread that waits for its answer gets EOFError."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Closes the socket of a process that has ended."""
        self._connection.close()
