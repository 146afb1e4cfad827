"""The way of every write: durable first, then visible; and enrolments that wait together share a transaction.

A transaction holds the ledger's head, so that no other server writes meanwhile. The views are brought to that head,
every write of the group is planned on them, all are committed, and then applied in order. Where a view must be built
anew for that, the head is let go first: nobody else waits for it.

A transaction that fails is undone, and its group is tried again in halves, so that only the write at fault fails.
"""

import asyncio
import logging
from asyncio import Future
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from glimpse.ledger import Enrollment, Head, Ledger, LedgerUnavailable, Writer
from glimpse.server.auth.caller import current
from glimpse.server.catalog.write_plan import Apply, EnrollmentPlan, Outcome, PendingEnrollments, Plan, ViewUpdater
from glimpse.server.errors import Queue, queue_full

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Enrolments in one transaction; each is of up to some hundreds of examples.
_MOST = 256
# Writes that wait; their bytes are bounded by what calls may hold. The seconds after which one more may come.
_MOST_WAITING, _COME_BACK_SECONDS = 16 * _MOST, 1.0


class _BehindError(Exception):
    """The views are not where the head is."""


@dataclass(frozen=True, slots=True)
class _Committed:
    """What came of each write, and the head and the collections that a transaction left."""

    outcomes: list[tuple["_Write[Any]", Any]]
    head: Head
    touched: set[str]


@dataclass(slots=True, eq=False)
class _Write(Generic[T]):
    plan: Callable[..., Any]
    apply: Apply[T]
    future: Future[T]
    actor: str
    enrolls: bool


class WriteQueue:
    """Writes in the order in which they were asked for, in a thread of their own."""

    def __init__(self, ledger: Ledger, views: ViewUpdater) -> None:
        self._ledger, self._views = ledger, views
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-write")
        self._waiting: deque[_Write[Any]] = deque()
        self._arrived, self._idle = asyncio.Event(), asyncio.Event()
        self._idle.set()
        #: Held while views change.
        self._lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._worker = asyncio.create_task(self._work())

    async def write(self, plan: Plan[T], apply: Apply[T]) -> T:
        """Plans, commits, and applies to the views.

        A caller who leaves meanwhile changes nothing: what is committed is applied.
        """
        return await self._put(plan, apply, enrolls=False)

    async def enroll(self, plan: EnrollmentPlan, apply: Apply[Outcome]) -> Outcome:
        """The same of an enrolment."""
        return await self._put(plan, apply, enrolls=True)

    async def _put(self, plan: Callable[..., Any], apply: Apply[T], *, enrolls: bool) -> T:
        if len(self._waiting) >= _MOST_WAITING:
            told = f"{len(self._waiting)} writes are waiting; send this one again later"
            raise queue_full(Queue.WRITES, told, _COME_BACK_SECONDS)
        write: _Write[T] = _Write(plan, apply, self._loop.create_future(), current().name, enrolls)
        self._waiting.append(write)
        self._arrived.set()
        self._idle.clear()
        try:
            return await asyncio.shield(write.future)
        except asyncio.CancelledError:
            if write in self._waiting:  # it was not begun, and nobody wants it any more
                self._waiting.remove(write)
            raise

    async def between(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does something to the views while no write is under way."""
        async with self._lock:
            return await work()

    async def close(self) -> None:
        """Waits for the writes that were asked for."""
        await self._idle.wait()
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        self._thread.shutdown()

    async def _work(self) -> None:
        while True:
            await self._arrived.wait()
            async with self._lock:
                await self._commit_or_fail(self._next())
            if not self._waiting:
                self._arrived.clear()
                self._idle.set()

    def _next(self) -> list[_Write[Any]]:
        """Enrolments that follow each other, or one other write."""
        if not self._waiting:  # whoever wanted it has left
            return []
        group = [self._waiting.popleft()]
        while group[0].enrolls and self._waiting and self._waiting[0].enrolls and len(group) < _MOST:
            group.append(self._waiting.popleft())
        return group

    async def _commit_or_fail(self, group: list[_Write[Any]]) -> None:
        """Commits a group; what goes wrong is the answer of each write of it."""
        try:
            await self._commit(group)
        except asyncio.CancelledError:
            # Of something that a plan waited for; or of this, where the server closes.
            if (this := asyncio.current_task()) is None or this.cancelling():
                raise
            for write in group:
                _settle(write.future, LedgerUnavailable("the write was interrupted; send it again"))
        except Exception as error:  # of the transaction: all of it is undone
            for write in group:
                _settle(write.future, error)

    async def _commit(self, group: list[_Write[Any]]) -> None:
        if not group:
            return
        committed: _Committed | None = None
        try:
            committed = await self._transact(group)
        except LedgerUnavailable:  # of the database, not of a write
            raise
        except Exception as error:
            if len(group) == 1:
                raise
            logger.warning("a transaction of %d enrolments failed; trying them in halves: %s", len(group), error)
        if committed is None:
            for half in (group[: len(group) // 2], group[len(group) // 2 :]):
                await self._commit_or_fail(half)
            return
        failed: set[str] = set()
        for write, result in committed.outcomes:
            if isinstance(result, Exception):
                _settle(write.future, result)
                continue
            try:
                applied = write.apply(result)
                await self._views.arrived(await applied if isawaitable(applied) else applied)
            except Exception as error:  # a bug; the others are applied all the same
                failed = committed.touched
                _settle(write.future, error)
            else:
                _settle(write.future, result)
        await self._views.stand_at(committed.head, failed)

    async def _transact(self, group: list[_Write[Any]]) -> _Committed:
        far = False
        while True:
            try:
                return await self._loop.run_in_executor(self._thread, self._try, group, far)
            except _BehindError:
                if not await self._views.follow():
                    told = "the ledger's head is not what its last change says; see `glimpse ledger verify`"
                    raise LedgerUnavailable(told) from None
                far = True  # others write too much for it to be near again

    def _try(self, group: list[_Write[Any]], far: bool) -> _Committed:
        """In the thread. Raises _BehindError: nothing was done."""
        with self._ledger.begin() as writer:
            planned = asyncio.run_coroutine_threadsafe(self._plan(group, writer.head, far), self._loop).result()
            works = [(write, work) for write, work in planned if not isinstance(work, Exception)]
            if works and group[0].enrolls:
                results = writer.enroll([work for _, work in works])
                found = {id(write): result for (write, _), result in zip(works, results, strict=True)}
            else:
                found = {id(write): _run(writer, write, work) for write, work in works}
        outcomes = [(write, found.get(id(write), work)) for write, work in planned]
        return _Committed(outcomes, writer.head, writer.touched)

    async def _plan(self, group: list[_Write[Any]], head: Head, far: bool) -> list[tuple[_Write[Any], Any]]:
        if not await self._views.catch_up(head, far=far):
            raise _BehindError
        planned: list[tuple[_Write[Any], Any]] = []
        coming = PendingEnrollments()
        for write in group:
            try:
                work = write.plan(coming) if write.enrolls else write.plan()
                if isawaitable(work):
                    work = await work
                if isinstance(work, Enrollment):
                    work = replace(work, actor=write.actor)
                    coming.add(work)
            except Exception as error:  # told the caller
                planned.append((write, error))
            else:
                planned.append((write, work))
        return planned


def _run(writer: Writer, write: _Write[Any], work: Callable[[Writer], Any]) -> Any:
    writer.actor = write.actor
    return work(writer)


def _settle(future: Future[Any], outcome: Any) -> None:
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
