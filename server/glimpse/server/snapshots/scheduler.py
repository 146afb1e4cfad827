"""Decides when snapshots are written, which are kept, and which one a start uses."""

import asyncio
import itertools
import logging
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from glimpse.index.storage.atomic_files import synced
from glimpse.ledger import AttachmentRecord, CollectionRecord, Head, LabelRecord
from glimpse.ledger.database.file_permissions import make_folder
from glimpse.server.collections.collection import CollectionView
from glimpse.server.scheduling.background import run_in_background
from glimpse.server.snapshots.manifest import (
    Manifest,
    Origin,
    UnusableSnapshot,
    check_origin,
    read_manifest,
)
from glimpse.server.snapshots.reader import read_snapshot
from glimpse.server.snapshots.writer import ViewCapture, write_snapshot

logger = logging.getLogger(__name__)
# The most changes, of any collection, to apply on top of a snapshot: searching more of them takes longer than reading
# the collection's examples from the ledger.
_MAX_CHANGES = 100_000


class LoadedSnapshot(NamedTuple):
    """A view, and the revision from which on the ledger's changes must still be applied to it."""

    view: CollectionView
    revision: int


class Snapshots:
    """The snapshots of a data folder, written one at a time. Use it in the event loop's thread only."""

    def __init__(self, folder: Path, *, seconds: float, examples: int) -> None:
        """Uses the snapshots in `folder`; call `start` to write new ones.

        Args:
            folder: The folder of all snapshots.
            seconds: The time between two searches for changed collections; 0: write no snapshots.
            examples: The fewest enrolled examples of a collection that gets a snapshot.
        """
        self._folder: Final = folder
        self._seconds, self._examples = seconds, examples
        # Each view's newest snapshot that this process wrote or loaded: the next one can link to its files.
        self._latest = WeakKeyDictionary[CollectionView, tuple[Path, Manifest]]()
        self._one_at_a_time, self._count = asyncio.Lock(), itertools.count(1)
        self._task: asyncio.Task[None] | None = None

    def exists(self, collection_id: str) -> bool:
        """Returns whether there is a snapshot of a collection, usable or not."""
        return any(_snapshots(self._folder / collection_id))

    def load(
        self,
        record: CollectionRecord,
        labels: Iterable[LabelRecord],
        attachment: AttachmentRecord | None,
        head: Head,
        digest_at: Callable[[int], str],
    ) -> LoadedSnapshot | None:
        """Builds a view from the newest usable snapshot, without the attached index.

        Args:
            record: The collection as the ledger has it at `head` or later.
            labels: Its labels, likewise.
            attachment: Its attached index, likewise.
            head: The ledger's head.
            digest_at: Returns the ledger's digest of a revision.

        Returns:
            None if no snapshot is usable; the log says why.
        """
        labels_by_id, current = {label.id: label for label in labels}, Origin.of(record, attachment, head)
        for folder in _snapshots(self._folder / record.id):
            started = time.monotonic()
            try:
                manifest = read_manifest(folder)
                check_origin(manifest, current, digest_at(manifest.origin.revision))
                behind = head.revision - manifest.origin.revision
                if behind > _MAX_CHANGES and manifest.origin.revision < record.revision:
                    raise UnusableSnapshot(f"the ledger has {behind} changes since")
                view = read_snapshot(folder, manifest, record, labels_by_id)
            except UnusableSnapshot as reason:
                logger.warning("collection %s: ignoring snapshot %s: %s", record.id, folder.name, reason)
            except Exception:  # of any kind: the ledger has the same data
                logger.exception("collection %s: ignoring snapshot %s", record.id, folder.name)
            else:
                self._latest[view] = folder, manifest
                message = "collection %s: loaded %d examples from snapshot %s in %.1f s"
                logger.info(message, record.id, manifest.count, folder.name, time.monotonic() - started)
                return LoadedSnapshot(view, manifest.origin.revision)
        return None

    def start(self, views: Iterable[CollectionView], sync_to_head: Callable[[], Awaitable[Head]]) -> None:
        """Writes snapshots from now on, and removes incomplete ones that a killed server left.

        Args:
            views: Iterates over the present views each time.
            sync_to_head: Brings the views to the ledger's head, and returns it.
        """
        self._views, self._sync_to_head = views, sync_to_head
        self._task = asyncio.create_task(self._run() if self._seconds else self._clean_up())

    async def finish(self, deadline: float) -> None:
        """Writes snapshots of what has changed, until `deadline` in time.monotonic() seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline - time.monotonic()):
                await self._write_all()

    async def close(self) -> None:
        """Stops, without waiting for a snapshot that is being written; it stays incomplete and unused."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._clean_up()
            await self._write_all()
            await asyncio.sleep(self._seconds)

    async def _write_all(self) -> None:
        """Writes the snapshots that are due. A failure is logged, and the earlier snapshot stays."""
        for view in list(self._views):
            async with self._one_at_a_time:
                if not self._is_due(view):
                    continue
                try:
                    # The view may be newer than this head when it is captured, which does no harm.
                    head = await self._sync_to_head()
                    if view in self._views:  # otherwise it was replaced, and is no longer updated
                        await self._write(view, head)
                except OSError as error:
                    logger.error("collection %s: cannot write a snapshot: %s", view.record.id, error)
                except Exception:
                    logger.exception("collection %s: cannot write a snapshot", view.record.id)

    def _is_due(self, view: CollectionView) -> bool:
        if not self._seconds or view.problem or view.examples.enrolled_count < self._examples:
            return False
        latest = self._latest.get(view)
        return latest is None or latest[1].origin.revision < view.record.revision

    async def _write(self, view: CollectionView, head: Head) -> None:
        started, index = time.monotonic(), view.examples.attached_index
        temporary = self._folder / view.record.id / f".{os.getpid()}.{next(self._count)}.tmp"
        work = partial(_write, ViewCapture.of(view, head), temporary, self._latest.get(view))
        folder, manifest = await run_in_background(work)
        if view.examples.attached_index is not index:
            return  # a start would not use this snapshot; the next one has the new index
        self._latest[view] = folder, manifest
        message = "collection %s: wrote %d examples to snapshot %s in %.1f s"
        logger.info(message, view.record.id, manifest.count, folder.name, time.monotonic() - started)

    async def _clean_up(self) -> None:
        """Removes the snapshots of deleted collections, and those that were not used."""
        async with self._one_at_a_time:
            views = {view.record.id: view for view in self._views}
            used = {name: latest[0] for name, view in views.items() if (latest := self._latest.get(view))}
            with suppress(OSError):
                for home in list(self._folder.iterdir()):
                    await asyncio.to_thread(_remove_all_but, home, used.get(home.name))


def _write(capture: ViewCapture, temporary: Path, previous: tuple[Path, Manifest] | None) -> tuple[Path, Manifest]:
    """Writes a snapshot, and removes the earlier ones of its collection. Raises OSError."""
    shutil.rmtree(temporary, ignore_errors=True)
    folder = temporary.with_name(str(capture.origin.revision))
    try:
        make_folder(temporary.parent.parent)
        make_folder(temporary.parent)
        manifest = write_snapshot(capture, temporary, previous)
        if folder.exists():  # it was not usable, otherwise no snapshot would be due
            shutil.rmtree(folder)
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    synced(folder.parent)
    synced(folder.parent.parent)
    _remove_all_but(folder.parent, folder)
    return folder, manifest


def _remove_all_but(home: Path, used: Path | None) -> None:
    """Removes a collection's snapshots except one. Raises OSError."""
    for folder in home.iterdir():
        if folder != used:
            shutil.rmtree(folder, ignore_errors=True)
    if used is None:
        home.rmdir()


def _snapshots(home: Path) -> Iterator[Path]:
    """Yields a collection's snapshots, the newest first."""
    entries = home.iterdir() if home.is_dir() else ()
    folders = (entry for entry in entries if entry.name.isdecimal())
    yield from sorted(folders, key=lambda folder: int(folder.name), reverse=True)
