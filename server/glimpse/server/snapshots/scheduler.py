"""When snapshots are written, which are kept, and which a start goes by."""

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
# Changes, of any collection: to look through more takes longer than to read a collection's examples.
_MOST_BEHIND = 100_000


class LoadedSnapshot(NamedTuple):
    """A view, and the revision after which the ledger's changes are still to be applied to it."""

    view: CollectionView
    revision: int


class Snapshots:
    """A data folder's snapshots, written one at a time. For the event loop's thread alone."""

    def __init__(self, folder: Path, *, seconds: float, examples: int) -> None:
        """`seconds` between looks at what has changed; 0: never. `examples`: of fewer, no snapshot is written."""
        self._folder: Final = folder
        self._seconds, self._examples = seconds, examples
        # Of views, as this process wrote it or began with it: its files can be linked to.
        self._kept = WeakKeyDictionary[CollectionView, tuple[Path, Manifest]]()
        self._turn, self._count = asyncio.Lock(), itertools.count(1)
        self._task: asyncio.Task[None] | None = None

    def exists(self, collection_id: str) -> bool:
        """Whether there is a snapshot of a collection, be it one to go by or not."""
        return any(_snapshots(self._folder / collection_id))

    def load(
        self,
        record: CollectionRecord,
        labels: Iterable[LabelRecord],
        attached: AttachmentRecord | None,
        head: Head,
        digest_at: Callable[[int], str],
    ) -> LoadedSnapshot | None:
        """The view of a collection as a snapshot has it, without the index below; None: there is none to go by.

        Args:
            record: the collection's, as the ledger has it at `head` or later.
            labels: likewise.
            attached: likewise.
            head: the ledger's.
            digest_at: the ledger's digest of a revision.
        """
        there, now = {label.id: label for label in labels}, Origin.of(record, attached, head)
        for folder in _snapshots(self._folder / record.id):
            started = time.monotonic()
            try:
                manifest = read_manifest(folder)
                check_origin(manifest, now, digest_at(manifest.origin.revision))
                behind = head.revision - manifest.origin.revision
                if behind > _MOST_BEHIND and manifest.origin.revision < record.revision:
                    raise UnusableSnapshot(f"{behind} changes have come since")
                view = read_snapshot(folder, manifest, record, there)
            except UnusableSnapshot as why:
                logger.warning("collection %s: snapshot %s is not used: %s", record.id, folder.name, why)
            except Exception:  # whatever it is, the ledger has it all
                logger.exception("collection %s: snapshot %s is not used", record.id, folder.name)
            else:
                self._kept[view] = folder, manifest
                told = "collection %s: %d examples from snapshot %s in %.1f s"
                logger.info(told, record.id, manifest.count, folder.name, time.monotonic() - started)
                return LoadedSnapshot(view, manifest.origin.revision)
        return None

    def start(self, views: Iterable[CollectionView], reached: Callable[[], Awaitable[Head]]) -> None:
        """Writes snapshots from now on, and removes what a killed server left half written.

        Args:
            views: those that there are, whenever it is asked.
            reached: where the ledger stands, once they have reached that.
        """
        self._views, self._reached = views, reached
        self._task = asyncio.create_task(self._keep() if self._seconds else self._tidy())

    async def finish(self, ends: float) -> None:
        """Writes what has changed, as far as there is time until `ends` (time.monotonic())."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ends - time.monotonic()):
                await self._write_all()

    async def close(self) -> None:
        """Ends without waiting: what is being written is never looked at."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            await self._tidy()
            await self._write_all()
            await asyncio.sleep(self._seconds)

    async def _write_all(self) -> None:
        """Those that are due. Where one cannot be written, that is logged and the one before stays."""
        for view in list(self._views):
            async with self._turn:
                if not self._due(view):
                    continue
                try:
                    # It may hold more by the time that it is taken: that is no harm.
                    head = await self._reached()
                    if view in self._views:  # else it was built anew meanwhile, and lacks what came since
                        await self._write(view, head)
                except OSError as error:
                    logger.error("collection %s: no snapshot could be written: %s", view.record.id, error)
                except Exception:
                    logger.exception("collection %s: no snapshot could be written", view.record.id)

    def _due(self, view: CollectionView) -> bool:
        if not self._seconds or view.problem or view.examples.enrolled_count < self._examples:
            return False
        kept = self._kept.get(view)
        return kept is None or kept[1].origin.revision < view.record.revision

    async def _write(self, view: CollectionView, head: Head) -> None:
        started, below = time.monotonic(), view.examples.attached_index
        beside = self._folder / view.record.id / f".{os.getpid()}.{next(self._count)}.tmp"
        work = partial(_write, ViewCapture.of(view, head), beside, self._kept.get(view))
        folder, manifest = await run_in_background(work)
        if view.examples.attached_index is not below:
            return  # the next one is of what it stands on now; this one would not be used
        self._kept[view] = folder, manifest
        told = "collection %s: %d examples in snapshot %s in %.1f s"
        logger.info(told, view.record.id, manifest.count, folder.name, time.monotonic() - started)

    async def _tidy(self) -> None:
        """Removes the snapshots of collections that are there no more, and those that were not used."""
        async with self._turn:
            there = {view.record.id: view for view in self._views}
            used = {name: kept[0] for name, view in there.items() if (kept := self._kept.get(view))}
            with suppress(OSError):
                for home in list(self._folder.iterdir()):
                    await asyncio.to_thread(_remove_but, home, used.get(home.name))


def _write(taken: ViewCapture, beside: Path, before: tuple[Path, Manifest] | None) -> tuple[Path, Manifest]:
    """A snapshot in the place of those before. Raises OSError."""
    shutil.rmtree(beside, ignore_errors=True)
    folder = beside.with_name(str(taken.origin.revision))
    try:
        make_folder(beside.parent.parent)
        make_folder(beside.parent)
        manifest = write_snapshot(taken, beside, before)
        if folder.exists():  # and was not used, or this would not be written
            shutil.rmtree(folder)
        beside.replace(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    synced(folder.parent)
    synced(folder.parent.parent)
    _remove_but(folder.parent, folder)
    return folder, manifest


def _remove_but(home: Path, used: Path | None) -> None:
    """Removes a collection's snapshots but one. Raises OSError."""
    for folder in home.iterdir():
        if folder != used:
            shutil.rmtree(folder, ignore_errors=True)
    if used is None:
        home.rmdir()


def _snapshots(home: Path) -> Iterator[Path]:
    """The newest first."""
    found = home.iterdir() if home.is_dir() else ()
    yield from sorted((one for one in found if one.name.isdecimal()), key=lambda one: int(one.name), reverse=True)
