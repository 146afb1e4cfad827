"""Deadlines and retries of calls."""

import math
import random
import time
from dataclasses import dataclass

import grpc

from glimpse.client.transport._errors import GlimpseError

_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
# Messages of gRPC for TLS errors that another attempt does not solve.
_NEVER = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "Hostname Verification Check failed")


@dataclass(frozen=True, slots=True)
class Retry:
    """Decides when a failed call is sent again. A call is never sent again after its deadline.

    A call that ends with UNAVAILABLE is sent again after a pause that doubles from `initial` to `maximum` seconds,
    shortened at random by up to half. So is a call that ends with CANCELLED, which gRPC reports if a server stops. The
    defaults cover about half a minute, in which a single server can restart. A call that ends with RESOURCE_EXHAUSTED
    is sent again after the delay that the server names (RetryInfo). All other errors, and TLS errors, are final.

    Attributes:
        attempts: Largest number of attempts for UNAVAILABLE and CANCELLED.
        initial: First pause, in seconds.
        maximum: Longest pause, in seconds.
        connect_timeout: Seconds in which a client that has never connected must reach a server. None: only `attempts`
            limits it. A client without a Retry gives up within 3 seconds.
    """

    attempts: int = 25
    initial: float = 0.1
    maximum: float = 2.0
    connect_timeout: float | None = None

    def pause(self, error: GlimpseError, attempt: int) -> float | None:
        """Returns the seconds to wait after attempt number `attempt` (from 1), or None to give up."""
        if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_delay is not None:
            return after(error.retry_delay)
        if error.code in _GONE and attempt < self.attempts and not is_hopeless(error):
            ceiling = min(self.maximum, self.initial * 2.0 ** (attempt - 1))
            return max(error.retry_delay or 0.0, ceiling * random.uniform(0.5, 1.0))
        return None


#: The default of a client. The timeout is below 3 seconds, so that the call fails within 3 seconds.
DEFAULT_RETRY = Retry(connect_timeout=2.8)


def is_unanswered(error: GlimpseError) -> bool:
    """Returns whether the error comes from gRPC on this side and not from a server."""
    return not error.reason and error.code in (*_GONE, grpc.StatusCode.DEADLINE_EXCEEDED)


def is_hopeless(error: GlimpseError) -> bool:
    """Returns whether every attempt would fail, because client and server do not agree on TLS."""
    return any(words in error.message for words in _NEVER)


def after(delay: float) -> float:
    """Returns a delay up to 20 % longer than the server's, so that callers do not all return at once."""
    return delay * random.uniform(1.0, 1.2)


class Deadline:
    """The deadline of a call and all its retries. A timeout of math.inf means no deadline."""

    def __init__(self, timeout: float) -> None:
        self._end = time.monotonic() + timeout

    def sooner(self, timeout: float) -> "Deadline":
        """Returns the earlier of this deadline and one in `timeout` seconds."""
        remaining = self.remaining()
        return Deadline(timeout if remaining is None else min(timeout, remaining))

    def remaining(self) -> float | None:
        """Returns the seconds left, not negative, or None if there is no deadline."""
        return None if math.isinf(self._end) else max(0.0, self._end - time.monotonic())

    def allows(self, pause: float) -> bool:
        """Returns whether there is time left after a pause of this many seconds."""
        return time.monotonic() + pause < self._end


@dataclass(slots=True)
class Link:
    """The state of a client's channel.

    Attributes:
        address: The server's address.
        connected: Whether the channel was ever connected.
    """

    address: str
    connected: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """The settings of one call.

    Attributes:
        deadline: The deadline of the call.
        retry: The retry policy.
        max_bytes: Largest size of a request, in bytes.
        link: The state of the channel.
    """

    deadline: Deadline
    retry: Retry
    max_bytes: int
    link: Link
