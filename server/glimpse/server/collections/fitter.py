"""Fits collections to their examples in the background, so that no answer waits for a fit."""

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from glimpse.fewshot import HeadKind, fit
from glimpse.fewshot.adaptation import cross_calibrated
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.fit_data import gather
from glimpse.server.collections.training_examples import TrainingExamples
from glimpse.server.errors import Code, RequestError
from glimpse.server.scheduling.background import run_in_background

logger = logging.getLogger(__name__)
# Seconds to wait after a change, because more changes usually follow. A collection that changes all the time rests nine
# times as long as its fit took, and so is fitted a tenth of the time.
_QUIET_SECONDS, _REST = 0.1, 9.0
# Seconds kept of a deadline for the reply, and the longest wait for a fit.
_REPLY_SECONDS, _MAX_WAIT_SECONDS = 0.05, 60.0


class Fitter:
    """Runs one fit at a time in a thread. Use it in the event loop's thread only."""

    def __init__(self, heads: dict[int, HeadKind], training: TrainingExamples) -> None:
        """Takes `heads`, the kinds of head by the number that a collection's record pins.

        `training` finds the collections to which leave-one-out would promise too much.
        """
        self._heads, self._training = heads, training
        self._tasks: dict[CollectionView, asyncio.Task[None]] = {}
        self._hurry: dict[CollectionView, asyncio.Event] = {}
        # A fit collects its data after it gets the lock: examples may be deleted while it waits.
        self._one_at_a_time = asyncio.Lock()
        self._ended = asyncio.Condition()  # notified after each fit, whether it succeeds or fails

    def schedule(self, view: CollectionView) -> None:
        """Schedules a fit of a collection that has changed."""
        if view not in self._tasks and not view.classifier.is_current:
            self._hurry[view] = asyncio.Event()
            self._tasks[view] = task = asyncio.create_task(self._fit_until_settled(view))
            task.add_done_callback(lambda _: self._forget(view))

    async def wait_until_fitted(self, view: CollectionView, deadline: float) -> None:
        """Waits until a collection is fitted to the examples that it has at the call, or to later ones.

        Args:
            view: The collection.
            deadline: In time.monotonic() seconds. The wait ends 50 ms earlier, and never lasts longer than a minute.

        Raises:
            RequestError: UNAVAILABLE if the fit did not end in time.
        """
        version = view.classifier.version
        seconds = min(deadline - time.monotonic() - _REPLY_SECONDS, _MAX_WAIT_SECONDS)
        try:
            async with asyncio.timeout(seconds), self._ended:
                while view.classifier.fitted_version < version:
                    self.schedule(view)
                    self._hurry[view].set()
                    await self._ended.wait()
        except TimeoutError as error:
            message = "the collection is still being fitted to its examples; retry"
            raise RequestError(Code.UNAVAILABLE, "NOT_FITTED", message, retry_delay=1.0) from error

    async def close(self) -> None:
        """Cancels all fits, without waiting for a running one."""
        tasks: Sequence[asyncio.Task[None]] = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, view: CollectionView) -> None:
        del self._hurry[view]
        if not self._tasks.pop(view).cancelled():
            self.schedule(view)  # the view may have changed after its task last looked

    async def _fit_until_settled(self, view: CollectionView) -> None:
        """Fits until nothing changes any more; rests between fits unless a caller waits."""
        rest, hurry = _QUIET_SECONDS, self._hurry[view]
        while not view.classifier.is_current:
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await hurry.wait()
            hurry.clear()
            async with self._one_at_a_time:
                started = time.monotonic()
                try:
                    await self._fit(view)
                except Exception:
                    # The earlier fit may rest on examples that were deleted.
                    logger.exception("cannot fit collection %s; it answers by class means", view.record.id)
                    view.classifier.clear_fit(view.classifier.version)
                rest = max(_QUIET_SECONDS, _REST * (time.monotonic() - started))
            async with self._ended:
                self._ended.notify_all()

    async def _fit(self, view: CollectionView) -> None:
        classifier, index = view.classifier, view.examples.attached_index
        data, revision = gather(view), view.record.revision
        pinned = self._heads.get(view.record.pinned_head)
        if data.labels and len(data.examples.ids) + len(data.negatives.ids) + len(data.unlabeled.ids):
            try:
                examples = await run_in_background(data.read)
            except KeyError:  # an example was deleted before it was read; the next round collects the data again
                return
            fitted = await run_in_background(partial(fit, examples, pinned, independent=view.independent))
            adapted = await self._training.held_by(view)
            if adapted:
                fitted = cross_calibrated(fitted, adapted.calibration)
            if view.classifier is not classifier or view.examples.attached_index is not index:
                return  # the ids or the classifier are other ones now; the next round collects the data again
            classifier.adopt(fitted, data.token, complete=data.whole)
            view.adapted = adapted
        else:
            classifier.clear_fit(data.token)
            view.adapted = None
        view.fitted_ids, view.fitted_revision = data.examples.ids, revision
        if view.label_index.needs_build(view.classifier):
            await view.label_index.build(view.classifier)
