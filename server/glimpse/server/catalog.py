"""All collections in memory, and the one way to change them: durable first, then visible.

Writes go through one thread and one lock, so views change in the order of the ledger's revisions; reads never wait.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from glimpse.ledger import CollectionRecord, Ledger
from glimpse.server.errors import Code, RequestError, not_found
from glimpse.server.indexes import Indexes
from glimpse.server.view import CollectionView

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Examples taken from the ledger at a time while a view is built.
_LOAD_BATCH = 1_000
# What is left of a deadline for telling the caller that a revision did not come; and the wait without a deadline.
_REPLY_SECONDS = 0.05
_MAX_WAIT_SECONDS = 30.0


class Catalog:
    """The views of a ledger's collections."""

    def __init__(self, ledger: Ledger, indexes: Indexes, changed: Callable[[CollectionView], None]) -> None:
        """`changed` is told of views that have changed, once they are loaded."""
        self._generations = itertools.count(1)
        self._ledger, self._changed = ledger, changed
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._write_lock = asyncio.Lock()
        self._moved = asyncio.Condition()
        self._views = {
            record.id: _load(ledger, record, indexes, self.next_generation(), changed)
            for record in ledger.collections()
        }
        self.revision = ledger.revision

    @classmethod
    def open(cls, folder: Path, indexes: Indexes, changed: Callable[[CollectionView], None]) -> Self:
        """Opens a data folder's ledger and builds its views. Raises LedgerError."""
        ledger = Ledger.open(folder)
        try:
            return cls(ledger, indexes, changed)
        except BaseException:
            ledger.close()
            raise

    def __iter__(self) -> Iterator[CollectionView]:
        return (self._views[name] for name in sorted(self._views))

    def find(self, collection_id: str, field: str, *, usable: bool = True) -> CollectionView:
        """The view of a collection. Raises RequestError: NOT_FOUND, or what is wrong with one that is to be usable."""
        view = self._views.get(collection_id)
        if view is None:
            raise _not_found(collection_id, field)
        if usable and view.problem:
            raise view.problem.at(field)
        return view

    def next_generation(self) -> int:
        """What tells an index that is opened from all those before."""
        return next(self._generations)

    def exists(self, collection_id: str) -> bool:
        """Whether there is such a collection."""
        return collection_id in self._views

    def check_current(self, view: CollectionView, field: str) -> None:
        """Raises RequestError where a collection found earlier was deleted, even if another has its id now."""
        if self._views.get(view.record.id) is not view:
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
        """A read of the ledger, in its thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, query, self._ledger)

    async def write(self, plan: Callable[[], Callable[[Ledger], T]], apply: Callable[[T], int]) -> T:
        """Plans, commits in the ledger's thread, applies to the views; `apply` returns the write's revision.

        `plan` sees the views as they are when the commit begins, whatever other calls did while this one was waiting
        or embedding: it raises RequestError, or returns what to commit. A caller who leaves meanwhile changes
        nothing: what is committed is applied.
        """
        return await asyncio.shield(asyncio.create_task(self._write(plan, apply)))

    async def _write(self, plan: Callable[[], Callable[[Ledger], T]], apply: Callable[[T], int]) -> T:
        async with self._write_lock:
            result = await self.read(plan())
            revision = apply(result)
        async with self._moved:
            self.revision = max(self.revision, revision)
            self._moved.notify_all()
        return result

    async def reach(self, revision: int, deadline: float) -> None:
        """Waits until the views hold a revision.

        Raises RequestError UNAVAILABLE shortly before `deadline` (time.monotonic()), so that the caller hears it.
        """
        if revision <= self.revision:
            return
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
        async with self._write_lock:
            await self.read(lambda ledger: ledger.close())
        self._thread.shutdown()


def _not_found(collection_id: str, field: str) -> RequestError:
    return not_found("COLLECTION_NOT_FOUND", f"there is no collection {collection_id!r}", field)


def _load(
    ledger: Ledger,
    record: CollectionRecord,
    indexes: Indexes,
    generation: int,
    changed: Callable[[CollectionView], None],
) -> CollectionView:
    view = CollectionView(record, changed)
    for label in ledger.labels(record.id):
        view.put_label(label)
    examples = ledger.examples(record.id)
    while batch := list(itertools.islice(examples, _LOAD_BATCH)):
        view.add_examples(batch)
    if attached := ledger.attachment(record.id):
        try:
            view.attach(*indexes.reopen(record, attached[0], generation, attached[1]))
        except RequestError as problem:
            logger.error("collection %s cannot be used: %s", record.id, problem)
            view.problem, view.lost_index = problem, attached[0].index_id
    return view
