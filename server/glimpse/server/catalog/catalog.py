"""The catalog: a view in memory of every collection in the ledger, kept in step with it change by change.

Views change in the order of the ledger's revisions, whether this server makes the change (through the write queue) or
another one does (through the follower). Reads never wait for either.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Self, TypeVar

from glimpse.ledger import CollectionRecord, Head, KeyRecord, Ledger, LedgerUnavailable
from glimpse.server.auth.caller import current_caller
from glimpse.server.catalog.follower import UNREADABLE, LedgerFollower, log_unreadable
from glimpse.server.catalog.loader import Loader
from glimpse.server.catalog.write_plan import Apply, EnrollmentPlan, EnrollOutcome, Plan
from glimpse.server.catalog.write_queue import WriteQueue
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.errors import Code, RequestError, not_found
from glimpse.server.resource_names import suggested_id
from glimpse.server.snapshots import Snapshots

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Seconds between two removals of request ids that are old enough to forget.
_FORGET_SECONDS = 3600.0


class Catalog:
    """The views of a ledger's collections. Use it in the event loop's thread only."""

    def __init__(
        self, ledger: Ledger, indexes: IndexDirectory, snapshots: Snapshots, changed: Callable[[CollectionView], None]
    ) -> None:
        """Loads every collection, then follows the ledger.

        Args:
            ledger: The open ledger; `close` closes it.
            indexes: Where the attached indexes are.
            snapshots: Snapshots to load views from.
            changed: Called with a view once it is loaded, and after each change to its examples or labels.
        """
        self._ledger, self._changed = ledger, changed
        self.loader: Final = Loader(ledger, indexes)
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="ledger-read")
        # Read the head first. Reads after it may include later changes; applying those again has no effect.
        head = ledger.head()
        self._views = {record.id: self._load(record, head, snapshots) for record in ledger.collections()}
        for view in self._views.values():
            view.watch(changed)
        self.follower: Final = LedgerFollower(self._views, head, self.read, self.loader, changed)
        self._writes = WriteQueue(ledger, self.follower)
        work = [self.follower.run(self._writes.run_between), self._forget_requests()]
        if self.shared:
            work.append(self.follower.listen(ledger.url))
        self._tasks = [asyncio.create_task(coroutine) for coroutine in work]

    @classmethod
    def open(
        cls, url: str, indexes: IndexDirectory, snapshots: Snapshots, changed: Callable[[CollectionView], None]
    ) -> Self:
        """Opens a ledger and builds its views. Only one server at a time can open an SQLite ledger.

        The arguments are those of the constructor. Raises LedgerError.
        """
        ledger = Ledger.open(url, exclusive=True)
        try:
            return cls(ledger, indexes, snapshots, changed)
        except BaseException:
            ledger.close()
            raise

    def _load(self, record: CollectionRecord, head: Head, snapshots: Snapshots) -> CollectionView:
        """Loads a view. If its rows are damaged, the view says so and the other collections are served."""
        try:
            return self.loader.load_at_start(record, head, snapshots)
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
        """Returns the view of a collection.

        Args:
            collection_id: The id as the request names it.
            field: The request's field, for the error.
            usable: Whether to refuse a collection that has a problem, such as a missing index.

        Raises:
            RequestError: PERMISSION_DENIED is checked before NOT_FOUND, so that a caller learns nothing about
                collections it may not see. With `usable`, the collection's problem.
        """
        current_caller().check(collection_id, field)
        view = self._views.get(collection_id)
        if view is None:
            raise _not_found(collection_id, field)
        if usable and view.problem:
            raise view.problem.at(field)
        return view

    def find_all(self, collection_ids: Sequence[str], field: str) -> list[CollectionView]:
        """Returns the view of each collection, as `find`; errors name `field[i]`. Raises RequestError."""
        return [self.find(name, f"{field}[{position}]") for position, name in enumerate(collection_ids)]

    @property
    def shared(self) -> bool:
        """True if other servers may write to the same ledger."""
        return self._ledger.shared

    @property
    def writing(self) -> bool:
        """True while a write waits or is being committed."""
        return self._writes.busy

    def exists(self, collection_id: str) -> bool:
        """Returns whether there is a collection with this id."""
        return collection_id in self._views

    def check_current(self, view: CollectionView, field: str) -> None:
        """Checks that a view found earlier is still the collection's view.

        Raises RequestError: UNAVAILABLE if the collection was loaded again, NOT_FOUND if it was deleted, even if
        another collection has its id now.
        """
        latest = self._views.get(view.record.id)
        if latest is view:
            return
        if latest and latest.record.create_time == view.record.create_time:
            message = f"collection {view.record.id!r} was reloaded during the call; retry"
            raise RequestError(Code.UNAVAILABLE, "COLLECTION_RELOADED", message, field, retry_delay=0.1)
        raise _not_found(view.record.id, field)

    def put(self, record: CollectionRecord) -> None:
        """Makes a new collection visible, or updates the record of an existing one."""
        if (view := self._views.get(record.id)) is None:
            self._views[record.id] = CollectionView(record, self._changed)
        else:
            view.update_record(record)

    def remove(self, collection_id: str) -> None:
        """Makes a deleted collection invisible."""
        del self._views[collection_id]

    async def read(self, query: Callable[[Ledger], T]) -> T:
        """Runs a query of the ledger in a thread and returns its result. Raises what the query raises."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, query, self._ledger)

    async def read_keys(self) -> list[KeyRecord]:
        """Returns every API key of the ledger. Raises LedgerError."""
        return await self.read(lambda ledger: ledger.keys())

    async def sync_to_head(self) -> Head:
        """Brings the views to the ledger's head, and returns it. Raises LedgerUnavailable."""
        return await self._writes.run_between(self.follower.sync_to_head)

    async def write(self, plan: Plan[T], apply: Apply[T]) -> T:
        """Commits a write in a transaction of its own; see `WriteQueue.submit`."""
        return await self._writes.submit(plan, apply)

    async def enroll(self, plan: EnrollmentPlan, apply: Apply[EnrollOutcome]) -> EnrollOutcome:
        """Commits an enrolment in a transaction that it may share; see `WriteQueue.submit`."""
        return await self._writes.submit(plan, apply, enrolls=True)

    async def _forget_requests(self) -> None:
        """Deletes old request ids from the ledger from time to time, so that they do not pile up."""
        while True:
            await asyncio.sleep(_FORGET_SECONDS)
            try:
                await self.read(lambda ledger: ledger.delete_expired_requests())
            except Exception:
                logger.exception("cannot delete old request ids from the ledger")

    async def close(self) -> None:
        """Waits for the running writes, and closes the ledger."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._writes.close()
        self._readers.shutdown()
        self._ledger.close()


def _not_found(collection_id: str, field: str) -> RequestError:
    valid_id, hint = suggested_id(collection_id), ""
    if valid_id not in ("", collection_id):
        hint = f"; ids cannot have these characters, {valid_id!r} would do"
    return not_found("COLLECTION_NOT_FOUND", f"there is no collection {collection_id!r}{hint}", field)
