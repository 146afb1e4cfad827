"""All collections in memory: views of the ledger, which follow it change by change.

Views change in the order of the ledger's revisions, whoever writes: this server, through `commits`, or another, through
`follow`. Reads never wait.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, Self, TypeVar

import numpy as np

from glimpse.ledger import CollectionRecord, Delta, Head, Ledger, LedgerError, listen
from glimpse.server.aside import aside
from glimpse.server.caller import current
from glimpse.server.commits import Apply, Commits, EnrollmentPlan, Outcome, Plan
from glimpse.server.errors import Code, RequestError, not_found
from glimpse.server.following import Follower
from glimpse.server.indexes import Indexes
from glimpse.server.loading import Loader
from glimpse.server.snapshots import Snapshots
from glimpse.server.view import CollectionView

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Between two looks at the ledger where nobody says that it changed; between two at the requests that it remembers.
_POLL_SECONDS, _FORGET_SECONDS = 1.0, 3600.0
# What is left of a deadline for telling the caller that a revision did not come; and the wait without a deadline.
_REPLY_SECONDS = 0.05
_MAX_WAIT_SECONDS = 30.0


class Catalog:
    """The views of a ledger's collections."""

    def __init__(
        self, ledger: Ledger, indexes: Indexes, snapshots: Snapshots, changed: Callable[[CollectionView], None]
    ) -> None:
        """`changed` is told of views that have changed, once they are loaded."""
        self._ledger, self._changed = ledger, changed
        self.loader: Final = Loader(ledger, indexes)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="ledger-read")
        self._moved = asyncio.Condition()
        self._wanted = asyncio.Event()
        # When the ledger's head was looked at last, and the revision seen.
        self._looking, self._looked, self._seen = asyncio.Lock(), 0.0, 0
        #: Set where an API key was made or revoked; whoever takes that on clears it.
        self.keys_changed = asyncio.Event()
        # First: what is read after it may be of later changes, which then change nothing any more.
        head = ledger.head()
        self.revision, self._digest = head.revision, head.digest
        self._views = {record.id: self.loader.begin(record, head, snapshots) for record in ledger.collections()}
        # Collections whose views are to be built anew.
        self._stale: set[str] = set()
        for view in self._views.values():
            view.watch(changed)
        self._commits = Commits(ledger, self)
        self._tasks = [asyncio.create_task(work) for work in (self._keep_up(), self._listen(), self._forget())]

    @classmethod
    def open(cls, url: str, indexes: Indexes, snapshots: Snapshots, changed: Callable[[CollectionView], None]) -> Self:
        """Opens a ledger and builds its views. Raises LedgerError."""
        ledger = Ledger.open(url)
        try:
            return cls(ledger, indexes, snapshots, changed)
        except BaseException:
            ledger.close()
            raise

    def __iter__(self) -> Iterator[CollectionView]:
        return (self._views[name] for name in sorted(self._views))

    def find(self, collection_id: str, field: str, *, usable: bool = True) -> CollectionView:
        """The view of a collection. Raises RequestError: NOT_FOUND, or what is wrong with one that is to be usable.

        PERMISSION_DENIED comes first, so that nobody hears what there is that he may not see.
        """
        current().check(collection_id, field)
        view = self._views.get(collection_id)
        if view is None:
            raise _not_found(collection_id, field)
        if usable and view.problem:
            raise view.problem.at(field)
        return view

    @property
    def head(self) -> int:
        """The last revision there is, as far as is known here; the views may be some changes behind."""
        return max(self.revision, self._seen)

    @property
    def shared(self) -> bool:
        """Whether other servers write to the same ledger."""
        return self._ledger.shared

    def exists(self, collection_id: str) -> bool:
        """Whether there is such a collection."""
        return collection_id in self._views

    def check_current(self, view: CollectionView, field: str) -> None:
        """Raises RequestError where a collection found earlier was deleted, even if another has its id now."""
        there = self._views.get(view.record.id)
        if there is view:
            return
        if there and there.record.create_time == view.record.create_time:
            message = f"collection {view.record.id!r} has another index or backbone since; send the call again"
            raise RequestError(Code.UNAVAILABLE, "COLLECTION_RELOADED", message, field, retry_delay=0.1)
        raise _not_found(view.record.id, field)

    def put(self, record: CollectionRecord) -> None:
        """Makes a created collection, or a collection's new record, visible."""
        if (view := self._views.get(record.id)) is None:
            self._views[record.id] = CollectionView(record, self._changed)
        else:
            view.put_record(record)

    def drop(self, collection_id: str) -> None:
        """Makes a deleted collection invisible."""
        del self._views[collection_id]

    async def read(self, query: Callable[[Ledger], T]) -> T:
        """A read of the ledger, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, query, self._ledger)

    async def reached_head(self) -> Head:
        """Where the ledger stands, once the views have reached that. Raises LedgerUnavailable, and RequestError."""
        head = await self.read(lambda ledger: ledger.head())
        await self.reach(head.revision, np.inf)
        return head

    async def refresh(self) -> None:
        """Brings the views to where the ledger stands, where others write too. Raises LedgerUnavailable."""
        if not self.shared:
            return
        asked = time.monotonic()
        async with self._looking:
            if self._looked < asked:  # else one of those who waited too has looked since
                self._looked, head = time.monotonic(), await self.read(lambda ledger: ledger.head())
                self._seen = max(self._seen, head.revision)
        await self.reach(self._seen, np.inf)

    async def write(self, plan: Plan[T], apply: Apply[T]) -> T:
        """A write that has a transaction of its own: see Commits."""
        return await self._commits.write(plan, apply)

    async def enroll(self, plan: EnrollmentPlan, apply: Apply[Outcome]) -> Outcome:
        """An enrolment, which shares its transaction with those that wait at the same time: see Commits."""
        return await self._commits.enroll(plan, apply)

    async def catch_up(self, head: Head) -> bool:
        """See Views."""
        while (self.revision, self._digest) != (head.revision, head.digest):
            delta = await self.read(lambda ledger: ledger.since(self.revision))
            if delta.before != self._digest or not delta.changes:
                return False
            self._take_on(delta)
            if self._stale:
                return False
            await self._arrived_at(delta)
        return not self._stale

    async def follow(self) -> None:
        """See Views."""
        while await self._step():
            pass

    async def _step(self) -> bool:
        """The next changes of others, if there are any. Called while no write is under way."""
        delta = await self.read(lambda ledger: ledger.since(self.revision))
        if delta.before != self._digest:
            await self._begin_anew()
        else:
            self._take_on(delta)
        for collection_id in sorted(self._stale):
            await self.rebuild(collection_id)
            self._stale.discard(collection_id)
        if delta.before == self._digest and delta.changes:
            await self._arrived_at(delta)
        return bool(delta.changes)

    def _take_on(self, delta: Delta) -> None:
        """Applies what others changed; what then is stale is to be built anew."""
        if any(change.kind.endswith("_key") for change in delta.changes):
            self.keys_changed.set()
        follower = Follower(self._views, delta, self._changed)
        try:
            follower.apply()
            self._stale |= follower.rebuild
        except Exception:  # a bug; the ledger has it all
            logger.exception("a change of another server could not be applied")
            self._stale |= {change.collection_id for change in delta.changes if change.collection_id}

    async def _begin_anew(self) -> None:
        """Takes the ledger as it is: its changes are not those that the views were made of."""
        head = await self.read(lambda ledger: ledger.head())
        records = await self.read(lambda ledger: ledger.collections())
        logger.error("the ledger's change %d is another now: was it restored? All is read anew", self.revision)
        self._stale |= self._views.keys() | {record.id for record in records}
        self.revision, self._digest, self._seen = head.revision, head.digest, head.revision
        self.keys_changed.set()

    async def _arrived_at(self, delta: Delta) -> None:
        last = delta.changes[-1]
        self._digest = last.digest
        await self.arrived(last.revision)

    async def arrived(self, revision: int) -> None:
        """The views hold a revision now."""
        async with self._moved:
            self.revision = max(self.revision, revision)
            self._moved.notify_all()

    async def stand_at(self, head: Head, failed: Iterable[str]) -> None:
        """See Views."""
        self._digest = head.digest
        self._stale |= set(failed)
        if self._stale:
            self._wanted.set()
        await self.arrived(head.revision)

    async def rebuild(self, collection_id: str) -> None:
        """Another view of a collection that has another index or backbone. Called while no write is under way."""
        record = await self.read(lambda ledger: ledger.collection(collection_id))
        if record is None:
            self._views.pop(collection_id, None)
        else:
            self._views[collection_id] = view = await aside(lambda: self.loader.load(record))
            view.watch(self._changed)

    async def _keep_up(self) -> None:
        """Takes on what others write, as soon as that is said, and from time to time."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                while await self._commits.between(self._step):
                    pass
            except LedgerError as error:
                logger.warning("the ledger cannot be followed: %s", error)
            except Exception:
                logger.exception("a change of another server could not be taken on")

    async def _forget(self) -> None:
        """Keeps the requests that are remembered from growing without end."""
        while True:
            await asyncio.sleep(_FORGET_SECONDS)
            with suppress(LedgerError):
                await self.read(lambda ledger: ledger.forget_requests())

    async def _listen(self) -> None:
        if self.shared:
            async for revision in listen(self._ledger.url):
                self._seen = max(self._seen, revision or 0)
                if revision is None or revision > self.revision:
                    self._wanted.set()

    async def reach(self, revision: int, deadline: float) -> None:
        """Waits until the views hold a revision.

        Raises RequestError UNAVAILABLE shortly before `deadline` (time.monotonic()), so that the caller hears it.
        """
        if revision <= self.revision:
            return
        self._wanted.set()
        seconds = min(deadline - time.monotonic() - _REPLY_SECONDS, _MAX_WAIT_SECONDS)
        try:
            async with asyncio.timeout(seconds), self._moved:
                await self._moved.wait_for(lambda: revision <= self.revision)
        except TimeoutError as error:
            raise RequestError(
                Code.UNAVAILABLE,
                "REVISION_NOT_REACHED",
                f"this server is at revision {self.revision}, not yet at {revision}",
                "min_revision",
                retry_delay=0.1,
            ) from error

    async def close(self) -> None:
        """Waits for the running write and closes the ledger."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._commits.close()
        self._readers.shutdown()
        self._ledger.close()


def _not_found(collection_id: str, field: str) -> RequestError:
    return not_found("COLLECTION_NOT_FOUND", f"there is no collection {collection_id!r}", field)
