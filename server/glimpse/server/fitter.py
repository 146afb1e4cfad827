"""Fits collections to their examples in the background, so that no answer waits for it."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from glimpse.fewshot import Fitted, HeadKind, fit
from glimpse.server.errors import Code, RequestError
from glimpse.server.snapshot import Snapshot, snapshot
from glimpse.server.view import CollectionView

logger = logging.getLogger(__name__)
# After a change others mostly follow; and a collection that changes all the time is fitted a tenth of the time.
_QUIET_SECONDS, _REST = 0.1, 9.0
_REPLY_SECONDS, _MAX_WAIT_SECONDS = 0.05, 60.0


class Fitter:
    """One thread, yielding to others; one fit of a collection at a time. For the event loop's thread alone."""

    def __init__(self, heads: dict[int, HeadKind]) -> None:
        """`heads`: what a record's pinned head means."""
        self._heads = heads
        self._thread = ThreadPoolExecutor(1, "fit", _yield_to_others)
        self._tasks: dict[CollectionView, asyncio.Task[None]] = {}
        self._waiting: dict[CollectionView, int] = {}
        self._hurry: dict[CollectionView, asyncio.Event] = {}

    def touch(self, view: CollectionView) -> None:
        """A collection has changed: it is fitted soon."""
        if view not in self._tasks and _wanted(view):
            self._hurry[view] = asyncio.Event()
            self._tasks[view] = task = asyncio.create_task(self._follow(view))
            task.add_done_callback(lambda _: self._forget(view))

    async def settled(self, view: CollectionView, deadline: float) -> None:
        """Waits until a collection's fit is of its examples as they are.

        Raises RequestError UNAVAILABLE shortly before `deadline` (time.monotonic()).
        """
        seconds = min(deadline - time.monotonic() - _REPLY_SECONDS, _MAX_WAIT_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                while _wanted(view):
                    self.touch(view)
                    self._hurry[view].set()
                    await asyncio.wait([self._tasks[view]])
        except TimeoutError as error:
            message = "the collection is still being fitted to its examples"
            raise RequestError(Code.UNAVAILABLE, "NOT_FITTED", message, retry_delay=1.0) from error

    async def close(self) -> None:
        """Ends the thread; a running fit is waited for."""
        tasks: Sequence[asyncio.Task[None]] = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    def _forget(self, view: CollectionView) -> None:
        del self._tasks[view], self._hurry[view]

    async def _follow(self, view: CollectionView) -> None:
        """Fits until nothing changes any more, with rests in between unless somebody is waiting."""
        rest = _QUIET_SECONDS
        while _wanted(view):
            hurry = self._hurry[view]
            try:
                async with asyncio.timeout(rest):
                    await hurry.wait()
            except TimeoutError:
                pass
            hurry.clear()
            started = time.monotonic()
            try:
                await self._fit(view)
            except KeyError:  # an example was deleted before it was read
                continue
            except Exception:
                logger.exception("collection %s cannot be fitted; what was fitted before stays", view.record.id)
                view.engine.fitted_version = view.engine.version
                return
            rest = max(_QUIET_SECONDS, _REST * (time.monotonic() - started))

    async def _fit(self, view: CollectionView) -> None:
        taken = snapshot(view)
        pinned = self._heads.get(view.record.pinned_head)
        loop = asyncio.get_running_loop()
        if taken.labels and len(taken.examples.ids) + len(taken.negatives.ids):
            fitted = await loop.run_in_executor(self._thread, _fitted, taken, pinned, view.independent)
            view.engine.adopt(fitted, taken.token, whole=taken.whole)
            view.fitted_ids = taken.examples.ids
        else:
            view.engine.forget_fit(taken.token)
        if view.gallery.due(view.engine):
            await view.gallery.build(view.engine, self._thread)


def _fitted(taken: Snapshot, pinned: HeadKind | None, independent: bool) -> Fitted:
    return fit(taken.read(), pinned, independent=independent)


def _wanted(view: CollectionView) -> bool:
    return view.engine.version != view.engine.fitted_version


def _yield_to_others() -> None:
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, 0, 10)
