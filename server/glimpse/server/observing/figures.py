"""Calls in figures, for GetServerInfo: counts, and rate and latency of late."""

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

# The last calls of a method that rate and latency are of, if they ended so many seconds ago at most.
_CALLS, _LATE = 1_000, 60.0


@dataclass(slots=True)
class MethodFigures:
    """The calls of one method."""

    count: int = 0
    failed: int = 0
    #: When each ended (time.monotonic()), and its seconds.
    late: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_CALLS))

    def recent(self) -> tuple[float, float, float]:
        """Calls a second, and the seconds that half and 99 of 100 took at most; 0 where there was none."""
        now = time.monotonic()
        found = np.array([one for one in self.late if one[0] > now - _LATE])
        if not len(found):
            return 0.0, 0.0, 0.0
        # Where all that are kept are late, the rate is of the time that they cover.
        span = now - found[0, 0] if len(found) == _CALLS else _LATE
        p50, p99 = np.percentile(found[:, 1], [50, 99])
        return len(found) / max(span, 1e-3), float(p50), float(p99)


class CallFigures:
    """All methods that were called. For the event loop's thread."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.in_flight = 0
        self.methods: dict[str, MethodFigures] = {}

    def ended(self, rpc: str, seconds: float, *, well: bool) -> None:
        """One call."""
        figures = self.methods.get(rpc)
        if figures is None:
            figures = self.methods[rpc] = MethodFigures()
        figures.count += 1
        figures.failed += not well
        figures.late.append((time.monotonic(), seconds))
