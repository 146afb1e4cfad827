"""Folding a collection's index, and what was enrolled beside it, into a new index that takes the place of both."""

import asyncio
import itertools
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from glimpse.index import Ids, Mask, VectorType, rows_table, write_index
from glimpse.ledger import ExampleRecord, Ledger
from glimpse.server.aside import aside
from glimpse.server.attachment import MODALITIES, Attachment
from glimpse.server.context import Rooms
from glimpse.server.errors import RequestError, failed_precondition
from glimpse.server.view import CollectionView

# Of the folders that this makes: the name of the index that it began with, and a number.
_MADE = re.compile(r"(?P<first>.+)\.c(?P<number>\d+)")
_READ_AHEAD = 1_000
_NAMES = {int(number): name for name, number in MODALITIES.items()}


@dataclass(slots=True)
class _Fold:
    """What goes into the new index, as it was when the work began; and what became of it."""

    below: Attachment
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
        rows = np.flatnonzero(self.below.dead[self.rows]).tolist()
        there = view.examples.example
        return rows + [len(self.rows) + place for place, id in enumerate(self.enrolled) if there(id) is None]


async def compact(rooms: Rooms, view: CollectionView) -> int:
    """Makes the new index aside, and swaps; returns the revision. Raises RequestError."""
    below = view.examples.attachment
    assert below is not None  # noqa: S101 (checked before)
    fold = _Fold(below, np.flatnonzero(~below.dead), view.examples.last)
    name, path = _free_name(rooms, below.record.index_id)
    for left in path.parent.glob(f".{name}.*.tmp"):  # by a server that was killed
        await asyncio.to_thread(shutil.rmtree, left, ignore_errors=True)
    loop = asyncio.get_running_loop()

    def read(query: Callable[[Ledger], list[ExampleRecord]]) -> list[ExampleRecord]:
        return asyncio.run_coroutine_threadsafe(rooms.catalog.read(query), loop).result()

    tables = _tables(view.record.id, fold, read)
    # One thread: those who ask meanwhile come first.
    await aside(lambda: write_index(path, tables, below.index.manifest.header(), threads=1))
    made = await aside(lambda: rooms.indexes.open(view.record, name, rooms.catalog.next_generation(), "collection"))
    try:
        revision = await _swap(rooms, view, fold, made)
    except RequestError:
        await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        raise
    await _tidy(rooms, below.record.index_id)
    return revision


async def stop_compactions(rooms: Rooms) -> None:
    """Ends without waiting for those that run: what they have made so far is never looked at."""
    running = list(rooms.compactions.values())
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _swap(rooms: Rooms, view: CollectionView, fold: _Fold, made: Attachment) -> int:
    gone: list[int] = []

    def plan() -> Callable[[Ledger], int]:
        rooms.catalog.check_current(view, "collection")
        if view.examples.attachment is not fold.below:
            message = f"collection {view.record.id!r} has another index now; compact that one"
            raise failed_precondition("INDEX_CHANGED", message, "collection")
        gone[:] = fold.gone(view)
        return lambda ledger: ledger.replace_index(view.record.id, made.record, fold.last, gone)

    def apply(revision: int) -> int:
        made.bury(np.array(gone, np.int64) + made.first)
        view.replace_index(made, fold.last, fold.moved(view.fitted_ids, made.first))
        return view.moved_to(revision)

    return await rooms.catalog.write(plan, apply)


def _tables(
    collection_id: str, fold: _Fold, read: Callable[[Callable[[Ledger], list[ExampleRecord]]], list[ExampleRecord]]
) -> Iterator[pa.Table]:
    """The rows of the old index that are there, then what was enrolled; a few at a time."""
    index = fold.below.index
    live: Mask = np.zeros(len(index), bool)
    live[fold.rows] = True
    yield from index.tables(live)
    after = 0
    while after < fold.last:
        some = read(lambda ledger, after=after: _some(ledger, collection_id, after, fold.last))  # type: ignore[misc]
        if not some:
            return
        after = some[-1].sequence
        fold.enrolled += [one.sequence for one in some]
        yield _table(some, index.manifest.vector_type)


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


def _free_name(rooms: Rooms, index_id: str) -> tuple[str, Path]:
    """Of the next index made of this one."""
    first = found["first"] if (found := _MADE.fullmatch(index_id)) else index_id
    for number in itertools.count(1):
        path = rooms.indexes.path(name := f"{first}.c{number}", "collection")
        if not path.exists():
            return name, path
    raise AssertionError("numbers do not end")


async def _tidy(rooms: Rooms, index_id: str) -> None:
    """Removes an index that this made and no collection stands on any more. Those that people brought stay."""
    used = {below.record.index_id for view in rooms.catalog if (below := view.examples.attachment)}
    if _MADE.fullmatch(index_id) and index_id not in used:
        await asyncio.to_thread(shutil.rmtree, rooms.indexes.path(index_id, "collection"), ignore_errors=True)
