"""How much a caller may ask for a second: token buckets.

A bucket holds what one second brings, so that a burst of that much passes at once. What is more than a bucket holds
passes when it is full, and leaves a debt: the rate holds in the long run, whatever the sizes. Each server counts by
itself.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from glimpse.server.errors import exhausted

# Of a bucket: what the clock's rounding may leave out, so that whoever waited as long as he was told passes.
_SLACK = 1e-6
_LINES_PER_SECOND = 10.0
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Limits:
    """A second's worth of each; None: no limit. Bytes are those of requests."""

    requests_per_second: float | None = None
    inputs_per_second: float | None = None
    bytes_per_second: float | None = None

    def over(self, defaults: "Limits") -> "Limits":
        """These, and the defaults where there is none."""
        mine = {name: rate for name, rate in asdict(self).items() if rate is not None}
        return replace(defaults, **mine)


class Bucket:
    """Fills by `rate` a second up to one second's worth, and at least 1."""

    def __init__(self, rate: float, clock: Clock = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._most = self._level = max(rate, 1.0)
        self._filled = clock()

    def wait(self, amount: float) -> float:
        """Seconds until so much can be taken; 0: it can be now."""
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._filled) * self._rate)
        self._filled = now
        missing = min(amount, self._most) - self._level
        return missing / self._rate if missing > _SLACK * self._most else 0.0

    def give(self, amount: float) -> None:
        """Puts back what was taken for nothing."""
        self._level = min(self._most, self._level + amount)

    def take(self, amount: float) -> None:
        """Takes it, into debt where that is more than there is."""
        self._level -= amount


class RateLimiter:
    """One caller's buckets."""

    def __init__(self, limits: Limits, clock: Clock = time.monotonic) -> None:
        self.limits = limits
        #: Lines that are written of what is refused him: however often he asks, the disk does not fill.
        self.lines = LogRateLimiter(clock)
        rates = (limits.requests_per_second, limits.inputs_per_second, limits.bytes_per_second)
        self._buckets = [None if rate is None else Bucket(rate, clock) for rate in rates]

    def spend(self, *, requests: int = 0, inputs: int = 0, size: int = 0) -> None:
        """Takes all of it or nothing; `size` in bytes. Raises RequestError RESOURCE_EXHAUSTED with the true wait."""
        asked = (requests, inputs, size)
        if not (waits := self._waits(asked)):
            for bucket, amount in zip(self._buckets, asked, strict=True):
                if bucket and amount:
                    bucket.take(amount)
            return
        # To come back takes a request.
        again = self._waits((1, inputs, size))
        longest, seconds = max(waits, key=waits.__getitem__), max(again.values())
        # For people, who see no RetryInfo.
        message = f"over this key's limit of {longest} a second; again in {math.ceil(10 * seconds) / 10:.1f} s"
        raise exhausted("RATE_LIMITED", message, math.ceil(1_000 * seconds) / 1_000)

    def spend_more(self, inputs: int, beside: int) -> None:
        """Takes so many inputs more, for a call that spent `beside`; or none, and gives those back. Raises as `spend`.

        Together, as they are asked for together again: where a second holds less than both, neither alone would do.
        """
        if bucket := self._buckets[1]:
            bucket.give(beside)
        self.spend(inputs=inputs + beside)

    def _waits(self, asked: tuple[int, int, int]) -> dict[str, float]:
        """How long, by the limit that is in the way."""
        waits = {}
        for name, rate, bucket, amount in zip(_NOUNS, asdict(self.limits).values(), self._buckets, asked, strict=True):
            if bucket and amount and (seconds := bucket.wait(amount)):
                waits[f"{rate:g} {name}{'' if rate == 1 else 's'}"] = seconds
        return waits


class LogRateLimiter:
    """Of one kind, in a log: so many a second are written, and others counted."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._bucket = Bucket(_LINES_PER_SECOND, clock)
        self._left_out = 0

    def next(self) -> int | None:
        """How many were left out before this one; None: it is to be left out itself."""
        if self._bucket.wait(1):
            self._left_out += 1
            return None
        self._bucket.take(1)
        left_out, self._left_out = self._left_out, 0
        return left_out


_NOUNS = ("request", "input", "byte")
