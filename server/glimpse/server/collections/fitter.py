"""Fits collections to their examples in the background, so that no answer waits for it."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from glimpse.fewshot import HeadKind, fit
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.fit_data import gather
from glimpse.server.errors import Code, RequestError
from glimpse.server.scheduling.background import run_in_background

logger = logging.getLogger(__name__)
# After a change others mostly follow; and a collection that changes all the time is fitted a tenth of the time.
_QUIET_SECONDS, _REST = 0.1, 9.0
_REPLY_SECONDS, _MAX_WAIT_SECONDS = 0.05, 60.0


class Fitter:
    """One fit at a time, aside. For the event loop's thread alone."""

    def __init__(self, heads: dict[int, HeadKind]) -> None:
        """`heads`: what a record's pinned head means."""
        self._heads = heads
        self._tasks: dict[CollectionView, asyncio.Task[None]] = {}
        self._hurry: dict[CollectionView, asyncio.Event] = {}
        # A collection is looked at when its turn comes: examples may be deleted while it waits.
        self._turn = asyncio.Lock()
        self._ended = asyncio.Condition()  # a fit has, well or not

    def touch(self, view: CollectionView) -> None:
        """A collection has changed: it is fitted soon."""
        if view not in self._tasks and not view.engine.is_current:
            self._hurry[view] = asyncio.Event()
            self._tasks[view] = task = asyncio.create_task(self._follow(view))
            task.add_done_callback(lambda _: self._forget(view))

    async def settled(self, view: CollectionView, deadline: float) -> None:
        """Waits until a collection's fit is of its examples as they are at the call, whatever else has come by then.

        Raises RequestError UNAVAILABLE shortly before `deadline` (time.monotonic()).
        """
        asked = view.engine.version
        seconds = min(deadline - time.monotonic() - _REPLY_SECONDS, _MAX_WAIT_SECONDS)
        try:
            async with asyncio.timeout(seconds), self._ended:
                while view.engine.fitted_version < asked:
                    self.touch(view)
                    self._hurry[view].set()
                    await self._ended.wait()
        except TimeoutError as error:
            message = "the collection is still being fitted to its examples"
            raise RequestError(Code.UNAVAILABLE, "NOT_FITTED", message, retry_delay=1.0) from error

    async def close(self) -> None:
        """Ends without waiting for a running fit."""
        tasks: Sequence[asyncio.Task[None]] = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, view: CollectionView) -> None:
        del self._hurry[view]
        if not self._tasks.pop(view).cancelled():
            self.touch(view)  # for what has changed since its task looked

    async def _follow(self, view: CollectionView) -> None:
        """Fits until nothing changes any more, with rests in between unless somebody is waiting."""
        rest, hurry = _QUIET_SECONDS, self._hurry[view]
        while not view.engine.is_current:
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await hurry.wait()
            hurry.clear()
            async with self._turn:
                started = time.monotonic()
                try:
                    await self._fit(view)
                except Exception:
                    # What was fitted before may rest on examples that are gone.
                    logger.exception("collection %s cannot be fitted; its class means answer", view.record.id)
                    view.engine.clear_fit(view.engine.version)
                rest = max(_QUIET_SECONDS, _REST * (time.monotonic() - started))
            async with self._ended:
                self._ended.notify_all()

    async def _fit(self, view: CollectionView) -> None:
        engine, below = view.engine, view.examples.attachment
        taken, revision = gather(view), view.record.revision
        pinned = self._heads.get(view.record.pinned_head)
        if taken.labels and len(taken.examples.ids) + len(taken.negatives.ids):
            try:
                examples = await run_in_background(taken.read)
            except KeyError:  # one was deleted before it was read: taken anew
                return
            fit_them = partial(fit, examples, pinned, independent=view.independent)
            fitted = await run_in_background(fit_them)
            if view.engine is not engine or view.examples.attachment is not below:
                return  # it learned anew meanwhile, or calls its rows otherwise: taken anew
            engine.adopt(fitted, taken.token, complete=taken.whole)
        else:
            engine.clear_fit(taken.token)
        view.fitted_ids, view.fitted_revision = taken.examples.ids, revision
        if view.gallery.due(view.engine):
            await view.gallery.build(view.engine)
