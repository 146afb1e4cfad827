"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def soon(look: Callable[[], T | None], seconds: float = 10.0, every: float = 0.02) -> T:
    """What there is to see within so many seconds, by default as long as an answer may be ahead of what tells of it."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "nothing came"
        time.sleep(every)
    return found
