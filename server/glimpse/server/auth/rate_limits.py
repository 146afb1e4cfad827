"""Rate limits per caller, as token buckets.

A bucket holds the amount of one second, so a burst of that size passes at once. A larger request passes when the bucket
is full, and leaves a debt, so the rate holds on average for requests of every size. Each server counts on its own.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from glimpse.server.errors import exhausted

# Part of a bucket that rounding of the clock may miss, so that a caller passes after the wait that it was given.
_SLACK = 1e-6
_LINES_PER_SECOND = 10.0
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits per second; None is no limit. Bytes are those of requests."""

    requests_per_second: float | None = None
    inputs_per_second: float | None = None
    bytes_per_second: float | None = None

    def over(self, defaults: "Limits") -> "Limits":
        """Returns these limits, with the defaults for those that are None."""
        own = {name: rate for name, rate in asdict(self).items() if rate is not None}
        return replace(defaults, **own)


class Bucket:
    """A token bucket. It fills at `rate` per second up to the amount of one second, and at least to 1."""

    def __init__(self, rate: float, clock: Clock = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._most = self._level = max(rate, 1.0)
        self._filled = clock()

    def wait(self, amount: float) -> float:
        """Returns the seconds until `amount` can be taken; 0 if it can be taken now."""
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._filled) * self._rate)
        self._filled = now
        missing = min(amount, self._most) - self._level
        return missing / self._rate if missing > _SLACK * self._most else 0.0

    def give(self, amount: float) -> None:
        """Puts back an amount that was not used."""
        self._level = min(self._most, self._level + amount)

    def take(self, amount: float) -> None:
        """Takes an amount, into debt if the bucket holds less."""
        self._level -= amount


class RateLimiter:
    """The token buckets of one caller."""

    def __init__(self, limits: Limits, clock: Clock = time.monotonic) -> None:
        self.limits = limits
        #: Limits the log lines about refused calls, so that repeated calls do not fill the disk.
        self.lines = LogRateLimiter(clock)
        rates = (limits.requests_per_second, limits.inputs_per_second, limits.bytes_per_second)
        self._buckets = [None if rate is None else Bucket(rate, clock) for rate in rates]

    def spend(self, *, requests: int = 0, inputs: int = 0, size: int = 0) -> None:
        """Takes all amounts or none.

        Args:
            requests: Number of requests.
            inputs: Number of inputs.
            size: Bytes.

        Raises:
            RequestError: RESOURCE_EXHAUSTED, with the wait until the same call passes.
        """
        amounts = (requests, inputs, size)
        if not (waits := self._waits(amounts)):
            for bucket, amount in zip(self._buckets, amounts, strict=True):
                if bucket and amount:
                    bucket.take(amount)
            return
        # A retry takes a request as well.
        retry = self._waits((1, inputs, size))
        longest, seconds = max(waits, key=waits.__getitem__), max(retry.values())
        # The message repeats the wait, because people do not see RetryInfo.
        message = (
            f"rate limit exceeded: {longest} per second for this key; retry in {math.ceil(10 * seconds) / 10:.1f} s"
        )
        raise exhausted("RATE_LIMITED", message, math.ceil(1_000 * seconds) / 1_000)

    def spend_more(self, inputs: int, spent: int) -> None:
        """Takes `inputs` more for a call that already spent `spent` inputs; gives those back if it raises.

        Both are taken together, because a retry needs both again. Raises RequestError as `spend`.
        """
        if bucket := self._buckets[1]:
            bucket.give(spent)
        self.spend(inputs=inputs + spent)

    def _waits(self, amounts: tuple[int, int, int]) -> dict[str, float]:
        """Returns the seconds to wait for each limit that is exceeded."""
        waits = {}
        for name, rate, bucket, amount in zip(
            _NOUNS, asdict(self.limits).values(), self._buckets, amounts, strict=True
        ):
            if bucket and amount and (seconds := bucket.wait(amount)):
                waits[f"{rate:g} {name}{'' if rate == 1 else 's'}"] = seconds
        return waits


class LogRateLimiter:
    """Limits the log lines of one kind per second, and counts those that are left out."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._bucket = Bucket(_LINES_PER_SECOND, clock)
        self._left_out = 0

    def next(self) -> int | None:
        """Returns the number of lines left out before this one; None if this one must be left out."""
        if self._bucket.wait(1):
            self._left_out += 1
            return None
        self._bucket.take(1)
        left_out, self._left_out = self._left_out, 0
        return left_out


_NOUNS = ("request", "input", "byte")
