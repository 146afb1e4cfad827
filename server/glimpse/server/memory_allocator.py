"""Settings of glibc's memory allocator, so that freed memory goes back to the system."""

import asyncio
import ctypes
import gc

from glimpse.server.settings import MIB

# The constants are those of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LIBC = ctypes.CDLL(None)
_TRIM_SECONDS = 0.5


def tune() -> None:
    """Keeps large blocks out of the heaps, in memory maps of their own.

    By default glibc raises its threshold for memory maps with each large image that is freed, and takes the next one
    from a heap. The heaps then fragment and grow, by 15 MiB a minute under a mixed load (bench/soak.py).
    """
    if mallopt := getattr(_LIBC, "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, MIB)
        mallopt(_M_TRIM_THRESHOLD, 4 * MIB)


def settle() -> None:
    """Freezes all loaded objects, so that the garbage collector does not scan them, and frees unused memory.

    Call it once, when everything is loaded.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    # Loading takes more memory than it keeps: 230 MiB more for a ViT-B/32.
    trim()


def trim() -> None:
    """Returns free memory to the system."""
    if malloc_trim := getattr(_LIBC, "malloc_trim", None):
        malloc_trim(0)


class Trimmer:
    """Calls `trim` in a thread, at most twice a second. Use it on one event loop."""

    def __init__(self) -> None:
        """Starts with no trim planned."""
        self._planned = False

    def ask(self) -> None:
        """Plans a trim half a second from now, for a large block that is being freed."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(_TRIM_SECONDS, self._trim)

    def _trim(self) -> None:
        self._planned = False
        asyncio.get_running_loop().run_in_executor(None, trim)
