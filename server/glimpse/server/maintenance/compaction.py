"""Folding a collection's index, and what was enrolled beside it, into a new index that takes the place of both."""

import asyncio
import itertools
import json
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from glimpse.index import GIVEN, Header, Ids, IndexFolderError, Manifest, Mask, VectorType, rows_table, write_index
from glimpse.ledger import ExampleRecord, Ledger, Writer
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.attached_index import MODALITIES, AttachedIndex
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.errors import INTERNAL, RequestError, as_request_error, failed_precondition, not_found
from glimpse.server.scheduling.background import run_in_background

logger = logging.getLogger(__name__)
_READ_AHEAD = 1_000
# Ends the name of an index that nobody needs and that is being removed.
_OLD = ".old.tmp"
_NAMES = {int(number): name for name, number in MODALITIES.items()}


@dataclass(slots=True)
class _Fold:
    """What goes into the new index, as it was when the work began; and what became of it."""

    below: AttachedIndex
    #: The rows of the old index, in order.
    rows: Ids
    #: Of what was enrolled up to here.
    last: int
    #: The sequence numbers that were still there when they were read, in order.
    enrolled: list[int] = field(default_factory=list)

    def moved(self, ids: Ids, first: int) -> Ids:
        """Old ids, (n,), as those of the new index, whose rows begin at `first`; what is not in it stays as it is."""
        found = ids.copy()
        for names, offset in ((self.rows + self.below.first, 0), (np.array(self.enrolled, np.int64), len(self.rows))):
            if len(names):
                places = np.minimum(np.searchsorted(names, ids), len(names) - 1)
                found = np.where(names[places] == ids, first + offset + places, found)
        return found

    def gone(self, view: CollectionView) -> list[int]:
        """The new index's rows that were deleted meanwhile."""
        rows = np.flatnonzero(self.below.deleted[self.rows]).tolist()
        there = view.examples.example
        return rows + [len(self.rows) + place for place, id in enumerate(self.enrolled) if there(id) is None]


@dataclass(slots=True)
class Compaction:
    """A compaction of a collection: under way, done as of a revision, or failed.

    Times are microseconds since the epoch, UTC.
    """

    collection_id: str
    start_time: int = field(default_factory=lambda: _now())
    #: 0 while it is under way.
    end_time: int = 0
    revision: int = 0
    failure: RequestError | None = None


class Compactor:
    """Compacts collections, one at a time: each compaction takes a core and a disk."""

    def __init__(self, catalog: Catalog, indexes: IndexDirectory) -> None:
        """Reads from `catalog`, and writes new indexes into the directory `indexes`."""
        self._catalog, self._indexes = catalog, indexes
        self._one_at_a_time = asyncio.Lock()
        self._running: dict[CollectionView, asyncio.Task[None]] = {}
        #: The last compaction of each collection, by id and creation time: another collection may get the same id.
        self._last: dict[tuple[str, int], Compaction] = {}

    def start(self, view: CollectionView) -> Compaction:
        """Starts a compaction, which goes on in the background, and returns it; joins one that is under way.

        Raises:
            RequestError: FAILED_PRECONDITION, where the collection has no index.
        """
        if view in self._running:
            return self._last[_key(view)]
        if view.examples.attached_index is None:
            raise _changed(view)
        self._forget_deleted()
        compaction = self._last[_key(view)] = Compaction(view.record.id)
        self._running[view] = asyncio.create_task(self._run(view, compaction))
        return compaction

    def last(self, view: CollectionView) -> Compaction:
        """Returns the last compaction of a collection since the server started.

        Raises:
            RequestError: NOT_FOUND, where there was none.
        """
        if compaction := self._last.get(_key(view)):
            return compaction
        message = f"this server has not compacted collection {view.record.id!r} since it started; start a compaction"
        raise not_found("COMPACTION_NOT_FOUND", message, "collection")

    async def close(self) -> None:
        """Cancels running compactions: nothing reads what they have written so far."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, view: CollectionView, compaction: Compaction) -> None:
        """Compacts, and records the outcome; only a cancellation is raised."""
        try:
            compaction.revision = await self._compact(view)
        except Exception as error:
            compaction.failure = as_request_error(error) or INTERNAL
            if compaction.failure is INTERNAL:
                logger.exception("the compaction of collection %s failed", view.record.id)
            else:
                logger.warning("the compaction of collection %s failed: %s", view.record.id, compaction.failure)
        else:
            logger.info("collection %s is compacted as of revision %s", view.record.id, compaction.revision)
        finally:
            compaction.end_time = _now()
            del self._running[view]

    def _forget_deleted(self) -> None:
        """Drops the compactions of collections that no longer exist, so that their number stays bounded."""
        existing = {_key(view) for view in self._catalog}
        self._last = {key: compaction for key, compaction in self._last.items() if key in existing}

    async def _compact(self, view: CollectionView) -> int:
        """Makes the new index aside, and swaps; returns the revision. Raises RequestError."""
        async with self._one_at_a_time:  # one at a time: each takes a core, and a disk
            below = view.examples.attached_index
            if below is None:
                raise _changed(view)
            fold = _Fold(below, np.flatnonzero(~below.deleted), view.examples.last_sequence)
            name, path = self._free_name(view.record.id)
            try:
                await run_in_background(self._writing(view, fold, path))
                made, _ = await run_in_background(lambda: self._indexes.open(view.record, name, "collection"))
                made.record = replace(made.record, made=True)
            except BaseException as error:
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
                if isinstance(error, IndexFolderError | OSError):
                    why = error.strerror if isinstance(error, OSError) else error.message
                    raise failed_precondition("COMPACTION_FAILED", f"the new index cannot be written: {why}") from error
                raise
            try:
                revision, left = await self._swap(view, fold, made)
            except RequestError:  # it was refused, so nothing was committed
                await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
                raise
            except BaseException:
                # It may be committed, or be yet: then the new index is all that there is of what it holds.
                logger.warning(
                    "whether collection %s stands on %s now is not known; it is left there", view.record.id, path
                )
                raise
            if left:
                await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
            return revision

    def _writing(self, view: CollectionView, fold: _Fold, path: Path) -> Callable[[], Manifest]:
        loop, manifest = asyncio.get_running_loop(), fold.below.index.manifest

        def read(query: Callable[[Ledger], list[ExampleRecord]]) -> list[ExampleRecord]:
            return asyncio.run_coroutine_threadsafe(self._catalog.read(query), loop).result()

        header = Header(
            backbone=manifest.backbone,
            embedding_space=manifest.embedding_space,
            dimension=manifest.dimension,
            # As they were enrolled: an example that is deleted takes its effect back exactly.
            vector_type="float32" if view.examples.enrolled_count else manifest.vector_type,
            rebuild=f"glimpse index compact --collection {view.record.id}",
        )
        factory = manifest.index.factory if manifest.index.chosen == GIVEN else None
        tables = _tables(view.record.id, fold, header, read)

        def write() -> Manifest:
            for left in path.parent.glob(f".*{_OLD}"):  # a server that was killed had no time to remove it
                shutil.rmtree(left, ignore_errors=True)
            # One thread: those who ask meanwhile come first.
            return write_index(path, tables, header, factory=factory, threads=1)

        return write

    async def _swap(self, view: CollectionView, fold: _Fold, made: AttachedIndex) -> tuple[int, Path | None]:
        """The revision, and the folder of an index that nobody needs any more."""
        gone, left = list[int](), list[Path]()

        def plan() -> Callable[[Writer], int]:
            self._catalog.check_current(view, "collection")
            if view.examples.attached_index is not fold.below:
                raise _changed(view)
            gone[:] = fold.gone(view)
            return lambda writer: writer.replace_index(view.record.id, made.record, fold.last, gone)

        def apply(revision: int) -> int:
            made.tombstone(np.array(gone, np.int64) + made.first)
            view.replace_index(made, fold.last, fold.moved(view.fitted_ids, made.first))
            # Here, as no other write can be under way.
            left.extend(self._unneeded(fold.below))
            return view.set_revision(revision)

        revision = await self._catalog.write(plan, apply)
        return revision, left[0] if left else None

    def _unneeded(self, below: AttachedIndex) -> Iterator[Path]:
        """The folder of an index that this made and no collection stands on, out of everybody's way."""
        there = [view.examples.attached_index for view in self._catalog]
        used = {one.record.index_id for one in there if one} | {view.missing_index_id for view in self._catalog}
        if below.record.made and below.record.index_id not in used:
            path = self._indexes.path(below.record.index_id, "collection")
            with suppress(OSError):
                yield path.rename(path.with_name(f".{path.name}{_OLD}"))

    def _free_name(self, collection_id: str) -> tuple[str, Path]:
        """Of the next index made of this collection."""
        # Another server may be making one at this moment, in the same folder.
        own = f"-{secrets.token_hex(4)}" if self._catalog.shared else ""
        for number in itertools.count(1):
            path = self._indexes.path(name := f"{collection_id}.c{number}{own}", "collection")
            if not path.exists():
                return name, path
        raise AssertionError("numbers do not end")


def _key(view: CollectionView) -> tuple[str, int]:
    return view.record.id, view.record.create_time


def _now() -> int:
    return time.time_ns() // 1_000


def _changed(view: CollectionView) -> RequestError:
    message = f"collection {view.record.id!r} has another index now; compact that one"
    return failed_precondition("INDEX_CHANGED", message, "collection")


def _tables(
    collection_id: str,
    fold: _Fold,
    header: Header,
    read: Callable[[Callable[[Ledger], list[ExampleRecord]]], list[ExampleRecord]],
) -> Iterator[pa.Table]:
    """The rows of the old index that are there, then what was enrolled; a few at a time."""
    index = fold.below.index
    live: Mask = np.zeros(len(index), bool)
    live[fold.rows] = True
    for table in index.tables(live):
        yield _timed(table, fold.below.record.time)
    after = 0
    while after < fold.last:
        some = read(lambda ledger, after=after: _some(ledger, collection_id, after, fold.last))  # type: ignore[misc]
        if not some:
            return
        after = some[-1].sequence
        fold.enrolled += [one.sequence for one in some]
        yield _table(some, header.vector_type)


def _timed(table: pa.Table, create_time: int) -> pa.Table:
    """Rows that keep the time that they have been there since."""
    rows = [json.loads(text or "{}") for text in table["about"].to_pylist()]
    about = [json.dumps({"time": create_time} | (row if isinstance(row, dict) else {})) for row in rows]
    return table.set_column(table.schema.get_field_index("about"), table.schema.field("about"), [about])


def _some(ledger: Ledger, collection_id: str, after: int, last: int) -> list[ExampleRecord]:
    found = ledger.examples(collection_id, after=after, limit=_READ_AHEAD)
    return list(itertools.takewhile(lambda one: one.sequence <= last, found))


def _table(examples: list[ExampleRecord], vector_type: VectorType) -> pa.Table:
    about = [
        json.dumps(
            {
                "metadata": one.metadata,
                "modality": _NAMES.get(one.modality),
                "time": one.create_time,
                "space": one.embedding_space,
            }
        )
        for one in examples
    ]
    return rows_table(
        [one.id for one in examples],
        [one.label_id for one in examples],
        [one.domain or None for one in examples],
        [one.metadata.get("file", "") for one in examples],
        [bytes.fromhex(one.content_digest.removeprefix("sha256:")) for one in examples],
        np.frombuffer(b"".join(one.vector for one in examples), "<f4").reshape(len(examples), -1),
        vector_type,
        about,
    )
