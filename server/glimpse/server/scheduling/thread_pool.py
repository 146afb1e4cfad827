"""Threads that callers have in turn."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, Self, TypeVar

from glimpse.server.auth.caller import current
from glimpse.server.scheduling.fair_queue import FairSemaphore

P = ParamSpec("P")
R = TypeVar("R")
# Work that a thread finds when it is done with the last: it need not wait for the event loop to hand it some.
_AHEAD = 3


class FairPool:
    """A thread pool with a short queue; what waits longer waits for the caller's turn, outside of it."""

    def __init__(
        self, threads: int, name: str, initializer: Callable[[], None] = lambda: None, *, ahead: int = _AHEAD
    ) -> None:
        """`ahead`: the work that each thread may have, begun and waiting."""
        self._threads = ThreadPoolExecutor(threads, name, initializer)
        self._turnstile = FairSemaphore(ahead * threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of `work`, done in a thread. Cancelled before it is begun, it is never done."""
        async with self._turnstile.turn(current().turn):
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *args, **kwargs))
