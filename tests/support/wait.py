"""Waits for the effects of other threads and processes."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def soon(look: Callable[[], T | None], seconds: float = 10.0, every: float = 0.02) -> T:
    """Calls `look` until its result is true, and returns it. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(every)
    return found
