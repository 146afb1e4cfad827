"""Admission control for one device: refuses inputs that would wait too long, before they are decoded.

Callers are served in turn (see fair_queue.py). So the inputs ahead of a caller's next input are, for each caller, at
most one more than this caller has waiting itself. A caller with few inputs is admitted where a caller with many is
refused. A caller that is alone may use the whole queue.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from glimpse.server.auth.caller import fairness_key
from glimpse.server.errors import Queue, RequestError, queue_full

# If many inputs wait, the usual wait may be this part of the longest wait. Some waiting fills batches and evens out
# bursts; more of it only delays every caller.
_USUAL_WAIT = 0.1
# The service time is a mean over about this many inputs. Before the first measurement it is this many seconds.
_WINDOW, _INITIAL_SECONDS = 50, 0.01


class Admission:
    """Limits the inputs that wait for one device, in number and in waiting time. Lives on one event loop."""

    def __init__(
        self, limit: int, seconds: float, few: int, queue: Queue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Creates an empty queue.

        Args:
            limit: Most inputs ahead of a new input.
            seconds: Longest wait. With more than `few` inputs ahead the longest wait is a tenth of it.
            few: Number of inputs ahead that does not count as many.
            queue: The name of the queue in refusals.
            clock: Returns seconds.
        """
        self._limit, self._longest, self._few, self._queue = limit, seconds, few, queue
        self._clock = clock
        self._service_time = ServiceTimeEstimator(clock)
        self._retries = RetryScheduler(seconds, clock)
        self._held: dict[str, int] = {}
        # Item k is the number of callers that hold more than k places.
        self._holders: list[int] = []

    @property
    def taken(self) -> int:
        """Number of places that all callers hold together."""
        return sum(self._held.values())

    def check(self, deadline: float = math.inf) -> None:
        """Checks whether a call may start. The call's own inputs do not count against it.

        Args:
            deadline: End of the call, by the clock.

        Raises:
            RequestError: RESOURCE_EXHAUSTED; the first input would wait too long, or past the deadline.
        """
        ahead = self._ahead(fairness_key.get())
        wait = ahead * self._service_time.seconds
        usual = self._longest if ahead <= self._few else _USUAL_WAIT * self._longest
        if ahead and (ahead >= self._limit or wait > usual or self._clock() + wait > deadline):
            raise self._queue_full(ahead)

    @contextmanager
    def place(self) -> Iterator[str]:
        """Holds a place from before an input is decoded until it is served; yields the caller's fairness key.

        Raises:
            RequestError: RESOURCE_EXHAUSTED; too many inputs are ahead.
        """
        caller = fairness_key.get()
        if (ahead := self._ahead(caller)) >= self._limit:
            raise self._queue_full(ahead)
        self._enter(caller)
        try:
            yield caller
        except Exception as error:
            # A refused input took no time on the device; an input that failed to decode did.
            self._leave(caller, served=not isinstance(error, RequestError))
            raise
        except BaseException:
            self._leave(caller, served=False)
            raise
        self._leave(caller, served=True)

    def _ahead(self, caller: str) -> int:
        return sum(self._holders[: self._held.get(caller, 0) + 1])

    def _enter(self, caller: str) -> None:
        if not self._held:
            self._service_time.begin()
        held = self._held.get(caller, 0)
        self._held[caller] = held + 1
        if held == len(self._holders):
            self._holders.append(0)
        self._holders[held] += 1

    def _leave(self, caller: str, *, served: bool) -> None:
        if served:
            self._service_time.end()
        self._held[caller] = held = self._held[caller] - 1
        self._holders[held] -= 1
        if not held:
            del self._held[caller]
        if not self._holders[-1]:
            self._holders.pop()

    def _queue_full(self, ahead: int) -> RequestError:
        wait = ahead * self._service_time.seconds
        message = f"{ahead} inputs are ahead, {wait:.2g} s of work; retry later"
        return queue_full(self._queue, message, self._retries.next(wait, self._service_time.seconds))


class RetryScheduler:
    """Spreads the retries of refused callers over time, so that there is room for each of them."""

    def __init__(self, longest: float, clock: Callable[[], float]) -> None:
        """Limits every delay to `longest` seconds: many callers never retry, so their slots stay unused."""
        self._longest, self._clock = longest, clock
        self._last = 0.0

    def next(self, wait: float, each: float) -> float:
        """Returns the retry delay in seconds: at least `wait`, and `each` later than the previous retry."""
        now = self._clock()
        self._last = max(min(self._last + each, now + self._longest), now + wait)
        return self._last - now


class ServiceTimeEstimator:
    """Estimates the seconds of work for one input. Inputs of one batch share the time of the batch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._seconds, self._count = _INITIAL_SECONDS, 1.0

    @property
    def seconds(self) -> float:
        """Recent mean of the seconds for one input."""
        return self._seconds / self._count

    def begin(self) -> None:
        """Starts the clock after an idle time."""
        self._since = self._clock()

    def end(self) -> None:
        """Counts one served input."""
        now, kept = self._clock(), 1 - 1 / _WINDOW
        self._seconds = kept * self._seconds + now - self._since
        self._count = kept * self._count + 1
        self._since = now
