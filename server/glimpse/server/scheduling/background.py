"""Runs long work in the background. The process does not wait for it when it ends."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def run_in_background(work: Callable[[], T]) -> T:
    """Runs `work` in a thread of its own, at low priority, and returns its result.

    Python joins a pool's threads before the process ends. This is a daemon thread, so a shutdown does not wait for it.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        if sys.platform == "linux":  # only on Linux does a thread have a priority of its own
            os.setpriority(os.PRIO_PROCESS, 0, 10)
        try:
            result = work()
        except BaseException as error:  # every error belongs to the caller that awaits the result
            report(lambda error=error: done.set_exception(error))  # type: ignore[misc]
        else:
            report(lambda: done.set_result(result))

    def report(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed, so no caller waits for the result
            loop.call_soon_threadsafe(lambda: None if done.done() else settle())

    Thread(target=run, name="background", daemon=True).start()
    return await done
