"""A block of memory that the server shares with a decoding process, so that pictures need not pass through a socket."""

import fcntl
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

#: Size of the block: enough for most encoded pictures, and for the pixels of 512 x 512.
SHARED_BYTES = 1 << 20


class SharedBlock:
    """A block of SHARED_BYTES in memory. One of its two processes at a time may use it."""

    def __init__(self, descriptor: int) -> None:
        """Maps a block; the descriptor may be closed afterwards."""
        self._memory = mmap.mmap(descriptor, SHARED_BYTES)

    def write(self, content: bytes | memoryview) -> bool:
        """Copies `content` to the start of the block, if it fits; returns whether it does."""
        if fits := len(content) <= SHARED_BYTES:
            self._memory[: len(content)] = content
        return fits

    def read(self, size: int) -> bytes:
        """Returns the first `size` bytes."""
        return self._memory[:size]

    def close(self) -> None:
        """Unmaps the block."""
        self._memory.close()


@contextmanager
def new_block() -> Iterator[int]:
    """Makes a block and yields its descriptor, which is closed at the end. Raises OSError if there is no memory."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("glimpse-picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, SHARED_BYTES)
        if sys.platform == "linux":
            # If the other process made the file shorter, this one would be killed when it reads the block.
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        yield descriptor
    finally:
        os.close(descriptor)
