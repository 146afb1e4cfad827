"""Who is let in, before anything is decoded, and who is told to come back.

Callers are served in turn (turns.py), so what is ahead of a caller's next input is, of every caller, at most as many as
he has himself, and that one. Whoever has few is let in where one who has many is refused; one alone has all the room.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from glimpse.server.auth.caller import current
from glimpse.server.errors import Queue, RequestError, queue_full

# Of the longest wait there may be: what is long where many wait. Waiting makes runs full and evens out bursts; more of
# it only makes everybody late.
_USUAL = 0.1
# Inputs over which the pace is a mean; the seconds of one before any was measured.
_REMEMBERED, _FIRST_SECONDS = 50, 0.01


class Admission:
    """Bounds what waits for one device, in number and in time. Lives on one event loop.

    `limit`: of inputs ahead. `seconds`: the longest wait; a tenth of it where more than `few` are ahead.
    `queue`: its name in refusals.
    """

    def __init__(
        self, limit: int, seconds: float, few: int, queue: Queue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit, self._longest, self._few, self._queue = limit, seconds, few, queue
        self._clock = clock
        self._pace = ServiceTimeEstimator(clock)
        self._promises = RetryScheduler(seconds, clock)
        self._held: dict[str, int] = {}
        # At k, how many callers hold more than k places.
        self._holders: list[int] = []

    @property
    def taken(self) -> int:
        """Places in all."""
        return sum(self._held.values())

    def check(self, deadline: float = math.inf) -> None:
        """Of a call as a whole: its own inputs are not held against it. `deadline` as of the clock.

        Raises RequestError RESOURCE_EXHAUSTED where its first would wait too long, or past its deadline.
        """
        ahead = self._ahead(current().turn)
        wait = ahead * self._pace.seconds
        usual = self._longest if ahead <= self._few else _USUAL * self._longest
        if ahead and (ahead >= self._limit or wait > usual or self._clock() + wait > deadline):
            raise self._full(ahead)

    @contextmanager
    def place(self) -> Iterator[str]:
        """A place, held from before an input is decoded until it is served; yields whose it is.

        Raises RequestError RESOURCE_EXHAUSTED where too many are ahead.
        """
        caller = current().turn
        if (ahead := self._ahead(caller)) >= self._limit:
            raise self._full(ahead)
        self._enter(caller)
        try:
            yield caller
        except Exception as error:
            # A refusal cost nothing, but a picture that turned out to be none did.
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
            self._pace.begin()
        held = self._held.get(caller, 0)
        self._held[caller] = held + 1
        if held == len(self._holders):
            self._holders.append(0)
        self._holders[held] += 1

    def _leave(self, caller: str, *, served: bool) -> None:
        if served:
            self._pace.end()
        self._held[caller] = held = self._held[caller] - 1
        self._holders[held] -= 1
        if not held:
            del self._held[caller]
        if not self._holders[-1]:
            self._holders.pop()

    def _full(self, ahead: int) -> RequestError:
        wait = ahead * self._pace.seconds
        told = f"{ahead} inputs are ahead, {wait:.2g} s of work; send it again later"
        return queue_full(self._queue, told, self._promises.next(wait, self._pace.seconds))


class RetryScheduler:
    """When those who are refused are to come back: one after the other, so that there is room for each."""

    def __init__(self, longest: float, clock: Callable[[], float]) -> None:
        """`longest`: the most that is told, in seconds; of those who do not come back, much is promised in vain."""
        self._longest, self._clock = longest, clock
        self._last = 0.0

    def next(self, wait: float, each: float) -> float:
        """In how many seconds: not before `wait`, nor within `each` of the one told last."""
        now = self._clock()
        self._last = max(min(self._last + each, now + self._longest), now + wait)
        return self._last - now


class ServiceTimeEstimator:
    """How many seconds one of many inputs takes: those worked on side by side share the time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._seconds, self._count = _FIRST_SECONDS, 1.0

    @property
    def seconds(self) -> float:
        """For each, of late."""
        return self._seconds / self._count

    def begin(self) -> None:
        """There is something to do again."""
        self._since = self._clock()

    def end(self) -> None:
        """One is done."""
        now, kept = self._clock(), 1 - 1 / _REMEMBERED
        self._seconds = kept * self._seconds + now - self._since
        self._count = kept * self._count + 1
        self._since = now
