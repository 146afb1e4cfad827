"""How long a call may take, and when it is sent again."""

import math
import random
import time
from dataclasses import dataclass

import grpc

from glimpse.client.transport._errors import GlimpseError

_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
# What gRPC says of two ends that will never agree on TLS.
_NEVER = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "Hostname Verification Check failed")


@dataclass(frozen=True, slots=True)
class Retry:
    """When a failed call is sent again, always within its deadline. Times in seconds.

    UNAVAILABLE, and CANCELLED, which gRPC says for a server that ends of calls that it never saw: up to `attempts`
    times in all, after a pause that doubles from `initial` to `maximum`, less a random part: for about half a minute,
    in which a server that is alone stops and starts; not where TLS fails. RESOURCE_EXHAUSTED: as often as the server
    says when to come back (RetryInfo), after the pause it names. Nothing else is ever sent again.

    `connect_timeout` limits how long a client that was never connected tries to reach a server, in any number of
    attempts. None: `attempts` alone limits it. A client without a Retry of its own has 3 seconds.
    """

    attempts: int = 25
    initial: float = 0.1
    maximum: float = 2.0
    connect_timeout: float | None = None

    def pause(self, error: GlimpseError, attempt: int) -> float | None:
        """How long to wait after attempt number `attempt` (from 1); None: give up."""
        if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_delay is not None:
            return after(error.retry_delay)
        if error.code in _GONE and attempt < self.attempts and not is_hopeless(error):
            ceiling = min(self.maximum, self.initial * 2.0 ** (attempt - 1))
            return max(error.retry_delay or 0.0, ceiling * random.uniform(0.5, 1.0))
        return None


#: The default. A little less than 3 seconds, so that the call fails within them.
DEFAULT_RETRY = Retry(connect_timeout=2.8)


def is_unanswered(error: GlimpseError) -> bool:
    """Whether an error of a call comes from gRPC on this side, not from a server."""
    return not error.reason and error.code in (*_GONE, grpc.StatusCode.DEADLINE_EXCEEDED)


def is_hopeless(error: GlimpseError) -> bool:
    """Whether the same call would fail again, as the two ends do not agree on TLS."""
    return any(words in error.message for words in _NEVER)


def after(delay: float) -> float:
    """A little more than the server asked for, so that many callers do not come back at once."""
    return delay * random.uniform(1.0, 1.2)


class Deadline:
    """A point in time that a call and all its retries must keep. math.inf: none."""

    def __init__(self, timeout: float) -> None:
        self._end = time.monotonic() + timeout

    def sooner(self, timeout: float) -> "Deadline":
        """The earlier of this one and one of `timeout` seconds from now."""
        remaining = self.remaining()
        return Deadline(timeout if remaining is None else min(timeout, remaining))

    def remaining(self) -> float | None:
        """Seconds left, as gRPC takes them: never negative, None for no deadline."""
        return None if math.isinf(self._end) else max(0.0, self._end - time.monotonic())

    def allows(self, pause: float) -> bool:
        """Whether there is time left after a pause."""
        return time.monotonic() + pause < self._end


@dataclass(slots=True)
class Link:
    """What a client knows of its channel to `address`. `connected`: it was connected once."""

    address: str
    connected: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """What one call of a client runs under."""

    deadline: Deadline
    retry: Retry
    max_bytes: int
    link: Link
