"""Counts and recent latencies of calls and stages, for GetServerInfo."""

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# A window has at most this many values, none older than this many seconds.
_MAX_VALUES, _MAX_AGE = 1_000, 60.0


class LatencyWindow(deque[tuple[float, float]]):
    """Recent values, such as latencies in seconds or batch sizes. For the event loop's thread only.

    An item is the time at which it was added, in time.monotonic() seconds, and the value.
    """

    def __init__(self) -> None:
        super().__init__(maxlen=_MAX_VALUES)

    def add(self, value: float) -> None:
        """Adds a value."""
        self.append((time.monotonic(), value))

    def values(self) -> npt.NDArray[np.float64]:
        """Returns the last 1,000 values of the last minute, (n,)."""
        return self._recent()[:, 1]

    def per_second(self) -> float:
        """Returns the number of values per second."""
        recent = self._recent()
        # If the window is full, it may cover less than a minute.
        span = time.monotonic() - recent[0, 0] if len(recent) == _MAX_VALUES else _MAX_AGE
        return len(recent) / max(span, 1e-3)

    def percentiles(self) -> tuple[float, float]:
        """Returns the 50th and 99th percentile; zeros if there is no value."""
        values = self.values()
        p50, p99 = np.percentile(values, [50, 99]) if len(values) else (0.0, 0.0)
        return float(p50), float(p99)

    def _recent(self) -> npt.NDArray[np.float64]:
        since = time.monotonic() - _MAX_AGE
        return np.array([pair for pair in self if pair[0] > since], np.float64).reshape(-1, 2)


@dataclass(slots=True)
class MethodFigures:
    """Number of calls of one method, and their recent latencies."""

    count: int = 0
    failed: int = 0
    recent: LatencyWindow = field(default_factory=LatencyWindow)


class CallFigures:
    """Figures of every method that was called. For the event loop's thread only."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.in_flight = 0
        self.methods: dict[str, MethodFigures] = {}

    def add(self, rpc: str, seconds: float, *, succeeded: bool) -> None:
        """Counts a call that has ended."""
        figures = self.methods.get(rpc)
        if figures is None:
            figures = self.methods[rpc] = MethodFigures()
        figures.count += 1
        figures.failed += not succeeded
        figures.recent.add(seconds)
