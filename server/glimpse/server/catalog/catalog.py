"""All collections in memory: views of the ledger, which follow it change by change.

Views change in the order of the ledger's revisions, whoever writes: this server, through `commits`, or another, through
`tracking`. Reads never wait.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self, TypeVar

from glimpse.ledger import CollectionRecord, Head, KeyRecord, Ledger, LedgerUnavailable
from glimpse.server.auth.caller import current
from glimpse.server.catalog.follower import UNREADABLE, LedgerFollower, log_unreadable
from glimpse.server.catalog.loader import Loader
from glimpse.server.catalog.write_plan import Apply, EnrollmentPlan, Outcome, Plan
from glimpse.server.catalog.write_queue import WriteQueue
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import Indexes
from glimpse.server.errors import Code, RequestError, not_found
from glimpse.server.resource_names import suggested_id
from glimpse.server.snapshots import Snapshots

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Between two looks at the requests that the ledger remembers.
_FORGET_SECONDS = 3600.0


class Catalog:
    """The views of a ledger's collections."""

    def __init__(
        self, ledger: Ledger, indexes: Indexes, snapshots: Snapshots, changed: Callable[[CollectionView], None]
    ) -> None:
        """`changed` is told of views that have changed, once they are loaded."""
        self._ledger, self._changed = ledger, changed
        self.loader: Final = Loader(ledger, indexes)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="ledger-read")
        # First: what is read after it may be of later changes, which then change nothing any more.
        head = ledger.head()
        self._views = {record.id: self._begin(record, head, snapshots) for record in ledger.collections()}
        for view in self._views.values():
            view.watch(changed)
        self.tracker: Final = LedgerFollower(self._views, head, self.read, self.loader, changed)
        self._commits = WriteQueue(ledger, self.tracker)
        work = [self.tracker.keep_up(self._commits.between), self._forget()]
        if self.shared:
            work.append(self.tracker.listen(ledger.url))
        self._tasks = [asyncio.create_task(one) for one in work]

    @classmethod
    def open(cls, url: str, indexes: Indexes, snapshots: Snapshots, changed: Callable[[CollectionView], None]) -> Self:
        """Opens a ledger, holds it as its one server if it is SQLite, and builds its views. Raises LedgerError."""
        ledger = Ledger.open(url, exclusive=True)
        try:
            return cls(ledger, indexes, snapshots, changed)
        except BaseException:
            ledger.close()
            raise

    def _begin(self, record: CollectionRecord, head: Head, snapshots: Snapshots) -> CollectionView:
        """A collection's view. Where its rows are damaged, the view says so, and the others are served."""
        try:
            return self.loader.begin(record, head, snapshots)
        except LedgerUnavailable:
            raise
        except Exception as error:
            log_unreadable(record.id, error)
            view = CollectionView(record)
            view.problem = UNREADABLE
            return view

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
            message = f"collection {view.record.id!r} was read anew meanwhile; send the call again"
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

    async def read_keys(self) -> list[KeyRecord]:
        """Returns every API key of the ledger."""
        return await self.read(lambda ledger: ledger.keys())

    async def reached_head(self) -> Head:
        """Where the ledger stands, once the views hold just that. Raises LedgerUnavailable."""
        return await self._commits.between(self.tracker.at_head)

    async def write(self, plan: Plan[T], apply: Apply[T]) -> T:
        """A write that has a transaction of its own: see Commits."""
        return await self._commits.write(plan, apply)

    async def enroll(self, plan: EnrollmentPlan, apply: Apply[Outcome]) -> Outcome:
        """An enrolment, which shares its transaction with those that wait at the same time: see Commits."""
        return await self._commits.enroll(plan, apply)

    async def _forget(self) -> None:
        """Keeps the requests that are remembered from growing without end."""
        while True:
            await asyncio.sleep(_FORGET_SECONDS)
            try:
                await self.read(lambda ledger: ledger.delete_expired_requests())
            except Exception:
                logger.exception("old requests could not be forgotten")

    async def close(self) -> None:
        """Waits for the running write and closes the ledger."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._commits.close()
        self._readers.shutdown()
        self._ledger.close()


def _not_found(collection_id: str, field: str) -> RequestError:
    right = suggested_id(collection_id)
    hint = f"; ids have no such characters: {right!r} could be one" if right not in ("", collection_id) else ""
    return not_found("COLLECTION_NOT_FOUND", f"there is no collection {collection_id!r}{hint}", field)
