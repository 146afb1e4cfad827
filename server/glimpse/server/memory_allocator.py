"""What glibc does with memory that is freed: back to the system, where it can."""

import asyncio
import ctypes
import gc

from glimpse.server.settings import MIB

# Of malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LIBC = ctypes.CDLL(None)
_TRIM_SECONDS = 0.5


def tune() -> None:
    """Keeps large blocks apart from the heaps.

    glibc learns from each large picture that is freed to take the next ones from its heaps, which then grow and are
    never whole again: 15 MiB a minute under everything at once (bench/soak.py).
    """
    if mallopt := getattr(_LIBC, "mallopt", None):
        mallopt(_M_MMAP_THRESHOLD, MIB)
        mallopt(_M_TRIM_THRESHOLD, 4 * MIB)


def settle() -> None:
    """To be called when everything is loaded: it stays, so the collector need not look at it again and again."""
    gc.collect()
    gc.freeze()
    gc.enable()
    # Loading takes more than it keeps (for a ViT-B/32 230 MiB more).
    trim()


def trim() -> None:
    """Gives back what is free."""
    if malloc_trim := getattr(_LIBC, "malloc_trim", None):
        malloc_trim(0)


class Trimmer:
    """Trims soon after it is asked to, twice a second at most, in a thread. Lives on one event loop."""

    def __init__(self) -> None:
        self._planned = False

    def ask(self) -> None:
        """Something large is being freed."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(_TRIM_SECONDS, self._trim)

    def _trim(self) -> None:
        self._planned = False
        asyncio.get_running_loop().run_in_executor(None, trim)
