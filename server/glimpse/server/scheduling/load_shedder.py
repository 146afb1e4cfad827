"""Refuses calls while too many of them wait in gRPC's own queue.

gRPC queues the calls that it has received until the event loop takes them, one at a time. If the event loop itself is
busy (a small backbone, vectors as inputs), this queue grows. gRPC does not report its length; it lets it grow to
thousands of calls and then cancels calls without a reason. A probe measures it: see queue_probe.py.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable

from glimpse.server.auth.caller import fairness_key
from glimpse.server.errors import Queue, queue_full
from glimpse.server.scheduling.admission import RetryScheduler

#: A queue with fewer calls or a shorter wait does not count: callers that wait for each answer make it that long. From
#: there to three times the wait, more and more calls are refused. Refusing all at once would let the backbone run dry
#: again and again.
MIN_CALLS, MIN_SECONDS = 100, 0.05
# A queue that counts is noticed within this many calls. A probe costs the server as much as a small call, so a server
# that takes few calls must not send one for each.
_CALLS_PER_PROBE = MIN_CALLS // 10
# A caller that sends less than this part of the mean per caller is refused only from this many seconds on. Such callers
# together send less than half of the calls.
_MODEST, _MODEST_SECONDS = 0.5, 1.0
# A refusal takes time too, and refused callers return: if every call were refused, there would soon be time for nothing
# else. So at most this part is refused, except for callers that send this many times the mean: others have that time.
_GREEDY, _MAX_REFUSED = 1.5, 0.9
# The shares of callers are counted over this many calls.
_WINDOW = 1_000


class LoadShedder:
    """Admits or refuses every call when it is taken from gRPC's queue. Lives on one event loop."""

    def __init__(self, longest: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Limits every retry delay to `longest` seconds."""
        self._clock = clock
        self._retries = RetryScheduler(longest, clock)
        #: Set once enough calls were taken since the last probe that another one is due.
        self.arrived = asyncio.Event()
        self._sent: float | None = None  # when the current probe was sent
        self._lost = False  # whether the last probe was lost
        self._passed = 0  # calls taken since the probe was sent
        self._last_probe = (0, 0.0, 0.0)  # calls ahead of the last probe, seconds that it waited, and when it returned
        self._since = 0  # calls taken since then
        self._admitted, self._each = 0, 0.0  # admitted calls among `_passed`, and seconds for each
        self._recent: Counter[str] = Counter()
        self._counted = 0  # the total of `_recent`

    def enter(self) -> None:
        """Counts a call that was taken from the queue.

        Raises:
            RequestError: RESOURCE_EXHAUSTED for some calls while too many wait behind them.
        """
        self._passed += 1
        self._since += 1
        if self._since >= _CALLS_PER_PROBE:
            self.arrived.set()
        caller = fairness_key.get()
        self._count(caller)
        self._check(caller)
        self._admitted += 1

    def _check(self, caller: str) -> None:
        queued, seconds = self._queue()
        if queued < MIN_CALLS or seconds < MIN_SECONDS:
            return
        share = self._recent[caller] * len(self._recent) / max(1, self._counted)
        if share < _MODEST and seconds < _MODEST_SECONDS:
            return
        most = 1.0 if share > _GREEDY else _MAX_REFUSED
        if random.random() < min(most, 0.5 * (seconds / MIN_SECONDS - 1)):
            delay = self._retries.next(seconds, self._each)
            raise queue_full(Queue.CALLS, f"{queued} calls are waiting; retry later", delay)

    @property
    def overloaded(self) -> bool:
        """Returns whether the last probe waited too long."""
        return self._last_probe[1] >= MIN_SECONDS

    def begin_probe(self) -> None:
        """Starts to count the calls that are taken before the probe."""
        self._sent, self._passed, self._admitted = self._clock(), 0, 0

    def end_probe(self, *, lost: bool) -> None:
        """Records the current probe, or that it was lost."""
        if not lost and self._sent is not None:
            self.record_probe(self._passed, self._clock() - self._sent, self._admitted)
        self._sent, self._lost = None, lost

    def record_probe(self, calls: int, seconds: float, admitted: int) -> None:
        """Records that `calls` were ahead of a probe that waited `seconds`, and that `admitted` of them were let in."""
        self._last_probe, self._since = (calls, seconds, self._clock()), 0
        self._each = seconds / max(1, admitted)

    def _queue(self) -> tuple[int, float]:
        """Returns the estimated number of waiting calls and the seconds that they wait."""
        calls, seconds, at = self._last_probe
        now = self._clock()
        # About as many calls wait behind the last probe as were ahead of it. A long queue delays the next probe: until
        # it returns, or those calls are taken, the queue must not look short.
        if self._since >= calls or now - at > seconds:
            calls, seconds = 0, 0.0
        if self._sent is not None and not self._lost and now - self._sent > seconds:
            return self._passed, now - self._sent
        return calls, seconds

    def _count(self, caller: str) -> None:
        self._recent[caller] += 1
        self._counted += 1
        if self._counted > _WINDOW:
            self._recent = Counter({name: count // 2 for name, count in self._recent.items() if count > 1})
            self._counted = self._recent.total()
