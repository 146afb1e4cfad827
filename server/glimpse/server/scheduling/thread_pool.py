"""Thread pools that serve callers in turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import ParamSpec, Self, TypeVar

from glimpse.server.auth.caller import fairness_key
from glimpse.server.errors import Queue
from glimpse.server.scheduling.admission import Admission
from glimpse.server.scheduling.fair_queue import FairQueue
from glimpse.server.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")
# Each thread has this much work begun or queued, so that it never waits for the event loop to hand it the next piece.
_WORK_PER_THREAD = 3
# Number of searches ahead of another that does not count as many.
_FEW_SEARCHES = 32
# Threads whose searches become one while they wait for a device. Where the processor searches, more would take cores
# from decoding.
_COMBINED_SEARCHES = 8


class FairSemaphore:
    """A semaphore that admits waiting callers in turn. Lives on one event loop."""

    def __init__(self, width: int) -> None:
        """Admits `width` callers at once."""
        self._free = width
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    @asynccontextmanager
    async def slot(self, caller: str) -> AsyncIterator[None]:
        """Waits for the caller's turn; passes it on at the end."""
        if self._free:
            self._free -= 1
        else:
            admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.put(caller, admitted)
            try:
                await admitted
            except asyncio.CancelledError:
                if not admitted.cancelled():  # the turn came, but the caller was cancelled in the same moment
                    self._pass_on()
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            admitted = self._waiting.take()
            if not admitted.done():  # a cancelled caller gets no turn
                admitted.set_result(None)
                return
        self._free += 1


class FairPool:
    """A thread pool with a short queue. Work beyond that waits outside of it, for the caller's turn."""

    def __init__(
        self, threads: int, name: str, initializer: Callable[[], None] = lambda: None, *, ahead: int = _WORK_PER_THREAD
    ) -> None:
        """Creates the pool.

        Args:
            threads: Number of threads.
            name: Prefix of the threads' names.
            initializer: Called in each thread when it starts.
            ahead: Pieces of work per thread that are begun or queued in the pool.
        """
        self._threads = ThreadPoolExecutor(threads, name, initializer)
        self._semaphore = FairSemaphore(ahead * threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs `work` in a thread and returns its result. A call that is cancelled before it starts never runs."""
        async with self._semaphore.slot(fairness_key.get()):
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))


class SearchPool(FairPool):
    """A thread for searches that are too large for the event loop, with a limit on what waits for it.

    Searches on a device are combined while they wait for it, so with a device there are several threads.
    """

    def __init__(self, settings: Settings, initializer: Callable[[], None], *, combined: bool = False) -> None:
        """Starts `initializer` in each thread. The queue has the limits of a backbone's queue."""
        super().__init__(_COMBINED_SEARCHES if combined else 1, "search", initializer)
        #: Checked before inputs are decoded, so that a call whose search would be late is refused early.
        self.admission = Admission(settings.queue_limit, settings.queue_seconds, _FEW_SEARCHES, Queue.SEARCHES)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs a search in a thread and returns its result. Raises RequestError if too many searches wait."""
        with self.admission.place():
            return await super().run(work, *args, **kwargs)
