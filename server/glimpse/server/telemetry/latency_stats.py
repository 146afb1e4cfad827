"""Calls and stages in figures, for GetServerInfo: counts, and how much it was of late."""

import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

# The last ones that are looked at, if they ended so many seconds ago at most.
_MOST, _LATE = 1_000, 60.0


class LatencyWindow:
    """Amounts of late: seconds that calls took, inputs in runs. For the event loop's thread."""

    def __init__(self) -> None:
        self._noted: deque[tuple[float, float]] = deque(maxlen=_MOST)  # when (time.monotonic()), and how much

    def note(self, amount: float) -> None:
        """One, now."""
        self._noted.append((time.monotonic(), amount))

    def amounts(self) -> npt.NDArray[np.float64]:
        """The last 1,000 of the last minute, (n,)."""
        return self._late()[:, 1]

    def per_second(self) -> float:
        """How many there were."""
        found = self._late()
        # Where all that are kept are late, the rate is of the time that they cover.
        span = time.monotonic() - found[0, 0] if len(found) == _MOST else _LATE
        return len(found) / max(span, 1e-3)

    def percentiles(self) -> tuple[float, float]:
        """What half and 99 of 100 were at most; 0 where there was none."""
        found = self.amounts()
        p50, p99 = np.percentile(found, [50, 99]) if len(found) else (0.0, 0.0)
        return float(p50), float(p99)

    def _late(self) -> npt.NDArray[np.float64]:
        since = time.monotonic() - _LATE
        return np.array([one for one in self._noted if one[0] > since], np.float64).reshape(-1, 2)


@dataclass(slots=True)
class MethodFigures:
    """The calls of one method, and their seconds of late."""

    count: int = 0
    failed: int = 0
    recent: LatencyWindow = field(default_factory=LatencyWindow)


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
        figures.recent.note(seconds)
