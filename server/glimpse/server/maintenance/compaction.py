"""Compacts a collection: writes its index and its enrolled examples into a new index, which replaces both."""

import asyncio
import itertools
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from glimpse.index import IndexFolderError
from glimpse.ledger import ExampleRecord, Ledger, Writer
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.errors import INTERNAL, RequestError, as_request_error, failed_precondition, not_found
from glimpse.server.maintenance.compacted_index import CompactedRows, write_compacted_index
from glimpse.server.scheduling.background import run_in_background
from glimpse.server.scheduling.inflight import stopping

logger = logging.getLogger(__name__)
# The most examples that stay enrolled because they were updated during the compaction: the ledger names each of them.
_MAX_KEPT = 10_000
# The suffix of an index that is no longer used and is being removed.
_REMOVED = ".old.tmp"


@dataclass(slots=True)
class Compaction:
    """A compaction of a collection: running, finished at a revision, or failed.

    Attributes:
        collection_id: The collection.
        start_time: In microseconds since the epoch, UTC.
        end_time: Likewise; 0 while it is running.
        revision: The collection's revision with the new index; 0 before.
        failure: The reason of a failure.
    """

    collection_id: str
    start_time: int = field(default_factory=lambda: _now())
    end_time: int = 0
    revision: int = 0
    failure: RequestError | None = None


class Compactor:
    """Compacts collections, one at a time, because a compaction needs a core and a disk."""

    def __init__(self, catalog: Catalog, indexes: IndexDirectory) -> None:
        """Reads from `catalog`, and writes new indexes into the directory `indexes`."""
        self._catalog, self._indexes = catalog, indexes
        self._one_at_a_time = asyncio.Lock()
        self._running: dict[CollectionView, asyncio.Task[None]] = {}
        # The last compaction of each collection, by id and creation time: another collection may get the same id.
        self._last: dict[tuple[str, int], Compaction] = {}

    def start(self, view: CollectionView) -> Compaction:
        """Starts a compaction in the background and returns it, or returns the one that is running.

        Raises:
            RequestError: FAILED_PRECONDITION if the collection has no index.
        """
        if view in self._running:
            return self._last[_key(view)]
        if view.examples.attached_index is None:
            raise _index_changed(view)
        self._forget_deleted()
        compaction = self._last[_key(view)] = Compaction(view.record.id)
        self._running[view] = asyncio.create_task(self._run(view, compaction))
        return compaction

    def last(self, view: CollectionView) -> Compaction:
        """Returns the last compaction of a collection since the server started.

        Raises:
            RequestError: NOT_FOUND if there was none.
        """
        if compaction := self._last.get(_key(view)):
            return compaction
        message = f"this server has not compacted collection {view.record.id!r} since it started; start a compaction"
        raise not_found("COMPACTION_NOT_FOUND", message, "collection")

    async def close(self) -> None:
        """Cancels running compactions; what they have written so far is never read."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, view: CollectionView, compaction: Compaction) -> None:
        """Compacts, and records the outcome; raises only if it is cancelled."""
        try:
            compaction.revision = await self._compact(view)
        except asyncio.CancelledError:  # without a failure it would look complete
            compaction.failure = stopping()
            raise
        except Exception as error:
            compaction.failure = as_request_error(error) or INTERNAL
            if compaction.failure is INTERNAL:
                logger.exception("the compaction of collection %s failed", view.record.id)
            else:
                logger.warning("the compaction of collection %s failed: %s", view.record.id, compaction.failure)
        else:
            logger.info("compacted collection %s at revision %s", view.record.id, compaction.revision)
        finally:
            compaction.end_time = _now()
            del self._running[view]

    def _forget_deleted(self) -> None:
        """Forgets the compactions of deleted collections, so that their number stays bounded."""
        existing = {_key(view) for view in self._catalog}
        self._last = {key: compaction for key, compaction in self._last.items() if key in existing}

    async def _compact(self, view: CollectionView) -> int:
        """Writes the new index, and replaces the old one; returns the revision. Raises RequestError."""
        async with self._one_at_a_time:
            old = view.examples.attached_index
            if old is None:
                raise _index_changed(view)
            rows = CompactedRows(old, np.flatnonzero(~old.deleted), view.examples.last_sequence)
            name, path = self._free_name(view.record.id)
            view.examples.updated = set()
            try:
                new = await self._write(view, rows, name, path)
                revision, unused = await self._replace_or_remove(view, rows, new, path)
            finally:
                view.examples.updated = None
            if unused:
                await asyncio.to_thread(shutil.rmtree, unused, ignore_errors=True)
            return revision

    async def _write(self, view: CollectionView, rows: CompactedRows, name: str, path: Path) -> AttachedIndex:
        """Writes and opens the new index; removes it if that fails. Raises RequestError."""
        loop, vector_type = asyncio.get_running_loop(), rows.old.index.manifest.vector_type
        if view.examples.enrolled_count:  # keep enrolled vectors exact, so that a deletion reverses its effect exactly
            vector_type = "float32"

        def read(query: Callable[[Ledger], list[ExampleRecord]]) -> list[ExampleRecord]:
            return asyncio.run_coroutine_threadsafe(self._catalog.read(query), loop).result()

        def write() -> None:
            for unused in path.parent.glob(f".*{_REMOVED}"):  # left by a server that was killed
                shutil.rmtree(unused, ignore_errors=True)
            write_compacted_index(path, view.record.id, rows, vector_type, read)

        try:
            await run_in_background(write)
            new, _ = await run_in_background(lambda: self._indexes.open(view.record, name, "collection"))
        except BaseException as error:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            if isinstance(error, IndexFolderError | OSError):
                reason = error.strerror if isinstance(error, OSError) else error.message
                raise failed_precondition("COMPACTION_FAILED", f"cannot write the new index: {reason}") from error
            raise
        new.record = replace(new.record, made=True)
        return new

    async def _replace_or_remove(
        self, view: CollectionView, rows: CompactedRows, new: AttachedIndex, path: Path
    ) -> tuple[int, Path | None]:
        """Commits the new index as `_replace` does, or removes its folder `path` if it is refused."""
        try:
            return await self._replace(view, rows, new)
        except RequestError:  # refused, so nothing was committed
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
            raise
        except BaseException:
            # The commit may have succeeded, or may still: then only the new index has the examples.
            logger.warning("collection %s may use the index %s now; keeping it", view.record.id, path)
            raise

    async def _replace(self, view: CollectionView, rows: CompactedRows, new: AttachedIndex) -> tuple[int, Path | None]:
        """Commits the new index; returns the revision, and the folder of the old index if nothing uses it."""
        deleted, kept, unused = list[int](), list[int](), list[Path]()

        def plan() -> Callable[[Writer], int]:
            self._catalog.check_current(view, "collection")
            if view.examples.attached_index is not rows.old:
                raise _index_changed(view)
            kept[:] = rows.kept(view.examples)
            if len(kept) > _MAX_KEPT:
                message = f"{len(kept)} examples were updated during the compaction; start another one"
                raise failed_precondition("COMPACTION_FAILED", message)
            deleted[:] = rows.deleted(view.examples, set(kept))
            return lambda writer: writer.replace_index(view.record.id, new.record, rows.last_sequence, deleted, kept)

        def apply(revision: int) -> int:
            new.tombstone(np.array(deleted, np.int64) + new.first)
            view.replace_index(new, rows.last_sequence, kept, rows.new_ids(view.fitted_ids, new.first, kept))
            # Look for the old index's users here, where no other write is in progress.
            unused.extend(self._rename_unused(rows.old))
            return view.set_revision(revision)

        revision = await self._catalog.write(plan, apply)
        return revision, unused[0] if unused else None

    def _rename_unused(self, old: AttachedIndex) -> Iterator[Path]:
        """Renames the folder of an index that a compaction made and no collection uses; yields the new path."""
        attached = [view.examples.attached_index for view in self._catalog]
        used = {index.record.index_id for index in attached if index}
        used |= {view.missing_index_id for view in self._catalog}
        if old.record.made and old.record.index_id not in used:
            path = self._indexes.path(old.record.index_id, "collection")
            with suppress(OSError):
                yield path.rename(path.with_name(f".{path.name}{_REMOVED}"))

    def _free_name(self, collection_id: str) -> tuple[str, Path]:
        """Returns an unused id and path for a new index of the collection."""
        # Another server may choose a name in the same directory at this moment.
        suffix = f"-{secrets.token_hex(4)}" if self._catalog.shared else ""
        for number in itertools.count(1):
            path = self._indexes.path(name := f"{collection_id}.c{number}{suffix}", "collection")
            if not path.exists():
                return name, path
        raise AssertionError("itertools.count does not end")


def _key(view: CollectionView) -> tuple[str, int]:
    return view.record.id, view.record.create_time


def _now() -> int:
    return time.time_ns() // 1_000


def _index_changed(view: CollectionView) -> RequestError:
    message = f"collection {view.record.id!r} has another index now; start another compaction"
    return failed_precondition("INDEX_CHANGED", message, "collection")
