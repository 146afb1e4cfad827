"""Work that takes long and that nobody waits for at the end of the process."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def run_in_background(work: Callable[[], T]) -> T:
    """The result of work, done in a thread of its own that yields to others.

    A pool's threads are joined before a process ends; this one is left where it is.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own
            os.setpriority(os.PRIO_PROCESS, 0, 10)
        try:
            result = work()
        except BaseException as error:  # whatever it is, it is told to whoever waits
            tell(lambda error=error: done.set_exception(error))  # type: ignore[misc]
        else:
            tell(lambda: done.set_result(result))

    def tell(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if done.done() else settle())

    Thread(target=run, name="aside", daemon=True).start()
    return await done
