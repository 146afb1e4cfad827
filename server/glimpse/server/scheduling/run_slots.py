"""Decides whether a run has all cores of its encoder, or several runs have one core each."""

import asyncio
import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Run:
    """A run that may start: the most inputs that it takes, and whether it has one core or all of them."""

    max_inputs: int
    single_core: bool


class RunSlots:
    """The runs of one encoder, shared by its batchers. Lives on one event loop.

    Fewer inputs than cores are encoded in one run on all cores, which answers soonest. With more, each core has a run
    of its own: that has the higher throughput, because no core waits for another within a run.
    """

    def __init__(self, single_core_runs: int = 1) -> None:
        """Takes the number of runs on one core that may go side by side; 1 if every run has the whole device."""
        self._most, self._busy = single_core_runs, 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def share(self, run: Run) -> int:
        """Returns the number of such runs that go side by side."""
        return self._most if run.single_core else 1

    @property
    def idle(self) -> bool:
        """True if there is no run."""
        return self._busy == 0

    @property
    def free(self) -> bool:
        """True if a run may start."""
        return self._busy < self._most

    async def until_free(self) -> None:
        """Waits until a run may start."""
        queue = self._waiting.append
        while not self.free:
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            queue(changed)
            await changed
            queue = self._waiting.appendleft  # the turn stays if another batcher was faster

    def next(self, waiting: int) -> Run:
        """Returns the run that should start now, with `waiting` inputs in the queue, while `free`."""
        if self._most == 1 or (self.idle and waiting < self._most):
            return Run(waiting, single_core=False)
        return Run(math.ceil(waiting / (self._most - self._busy)), single_core=True)

    def begin(self, run: Run) -> None:
        """Counts a run that starts."""
        self._busy += 1 if run.single_core else self._most

    def end(self, run: Run) -> None:
        """Counts a run that has ended."""
        self._busy -= 1 if run.single_core else self._most
        while self._waiting:
            changed = self._waiting.popleft()
            if not changed.done():
                changed.set_result(None)
