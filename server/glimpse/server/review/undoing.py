"""Takes resolutions back. A compaction may have moved their examples into the attached index, which no ledger reads."""

import asyncio
from collections.abc import Callable

import numpy as np

from glimpse.index import Ids
from glimpse.ledger import ExampleRecord, NotFound, ResolutionRows, ReviewResolution, Undone, Writer
from glimpse.server.auth.caller import current_caller
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.collection import CollectionView


class _IndexChangedError(Exception):
    """A compaction ended between the read of the index and the write."""


class Undoer:
    """Takes resolutions back. Use it in the event loop's thread only."""

    def __init__(self, catalog: Catalog) -> None:
        """Writes through `catalog`."""
        self._catalog = catalog

    async def undo(self, view: CollectionView, resolution_id: str) -> Undone:
        """Deletes what a resolution enrolled, and returns its items to the queue.

        Raises:
            NotFound: There is no such resolution.
            ResolutionChanged: Somebody changed what it enrolled; nothing is undone.
            IndexFolderError: The index cannot be read; nothing is undone.
            RequestError: The collection was deleted or loaded again; nothing is undone.
            LedgerError: Nothing is undone.
        """
        resolution = await self._catalog.read(lambda ledger: ledger.review.resolution(view.record.id, resolution_id))
        if resolution is None:
            raise NotFound(f"there is no resolution {resolution_id!r}")
        while True:
            try:
                return await self._undo(view, resolution)
            except _IndexChangedError:
                continue

    async def _undo(self, view: CollectionView, resolution: ReviewResolution) -> Undone:
        """Takes a resolution back with the index that is attached now. Raises _IndexChangedError if that changes."""
        attached, actor = view.examples.attached_index, current_caller().name
        # Read outside the write, which would make every other write wait.
        examples = await asyncio.to_thread(_read, attached, _row_ids(view, resolution))

        def plan() -> Callable[[Writer], Undone]:
            self._catalog.check_current(view, "name")
            ids = _row_ids(view, resolution)
            if view.examples.attached_index is not attached or not examples.keys() >= set(ids.tolist()):
                raise _IndexChangedError
            rows = ResolutionRows()
            if attached:
                present = {id - attached.first: examples[id] for id in ids.tolist()}
                rows = ResolutionRows(present, len(attached.ids_of_label(resolution.label_id)))
            return lambda writer: writer.undo_review(view.record.id, resolution.id, actor, rows)

        return await self._catalog.write(plan, lambda undone: _apply(view, undone))


def _row_ids(view: CollectionView, resolution: ReviewResolution) -> Ids:
    """Returns the ids of the resolution's examples that are rows of the attached index: `(n,)`."""
    ids = (view.examples.find(example_id) for example_id in resolution.examples)
    return np.array([id for id in ids if id is not None and not view.examples.is_enrolled(id)], np.int64)


def _read(attached: AttachedIndex | None, ids: Ids) -> dict[int, ExampleRecord]:
    """Returns rows of an index by their ids."""
    return dict(zip(ids.tolist(), attached.records(ids), strict=True)) if attached and len(ids) else {}


def _apply(view: CollectionView, undone: Undone) -> int:
    """Makes an undone resolution visible; returns its revision."""
    view.remove_examples(undone.example_ids)
    if undone.label_id:
        view.remove_label(undone.label_id)
    return view.set_revision(undone.revision)
