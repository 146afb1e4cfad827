"""Follows the ledger: applies what other servers write to this server's views."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol, TypeVar

import numpy as np

from glimpse.ledger import Delta, Head, Ledger, LedgerDamaged, LedgerError, listen
from glimpse.server.catalog.apply_changes import ChangeApplier
from glimpse.server.catalog.ledger_health import LedgerHealth
from glimpse.server.catalog.loader import Loader
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import Code, RequestError
from glimpse.server.scheduling.background import run_in_background

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Seconds between two reads of the ledger's head when no notification arrives.
_POLL_SECONDS = 1.0
# Seconds kept of a deadline to answer that a revision did not arrive; and the longest wait for a revision.
_REPLY_SECONDS = 0.05
_MAX_WAIT_SECONDS = 30.0
#: The problem of a collection whose rows cannot be read.
UNREADABLE = RequestError(
    Code.INTERNAL,
    "COLLECTION_UNREADABLE",
    "the collection cannot be read from the ledger; see the server's log for the reason",
)


class Read(Protocol):
    """Runs a query of the ledger in a thread."""

    async def __call__(self, query: Callable[[Ledger], T]) -> T:
        """Returns the query's result."""


class LedgerFollower:
    """Knows which revision the views hold, and brings them forward. Use it in the event loop's thread only."""

    def __init__(
        self,
        views: dict[str, CollectionView],
        head: Head,
        read: Read,
        loader: Loader,
        changed: Callable[[CollectionView], None],
    ) -> None:
        """Follows the ledger from `head`; call `run` to start.

        Args:
            views: The views by collection id, as of `head` or later. The follower changes them.
            head: The ledger's head.
            read: Runs a query of the ledger.
            loader: Builds views.
            changed: Called with a view after its examples or labels change.
        """
        self._views, self._read, self._loader, self._changed = views, read, loader, changed
        #: The revision that the views hold; within a group of writes it is past `_head`.
        self.revision: int = head.revision
        self._head = head
        # Collections whose views must be built again.
        self._stale: set[str] = set()
        self._advanced, self._wake_up = asyncio.Condition(), asyncio.Event()
        # Reads of the ledger's head: when the last one began, the revision it returned, and its error.
        self._head_lock, self._head_read_at, self._latest_revision = asyncio.Lock(), 0.0, 0
        self._head_error: LedgerError | None = None
        #: Set when an API key was created or revoked; the reader of the keys clears it.
        self.keys_changed: Final = asyncio.Event()
        self.health: Final = LedgerHealth()

    @property
    def head(self) -> int:
        """The ledger's last revision, as far as this server knows; the views may be some changes behind."""
        return max(self.revision, self._latest_revision)

    async def listen(self, url: str) -> None:
        """Receives notifications of writes to a PostgreSQL ledger, without end."""
        async for revision in listen(url):
            if revision is None or revision > self.revision:
                self._wake_up.set()

    async def run(self, run_between: Callable[[Callable[[], Awaitable[bool]]], Awaitable[bool]]) -> None:
        """Applies what other servers write, on each notification and every second, without end.

        Args:
            run_between: Runs a step while no write is in progress.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake_up.wait()
            self._wake_up.clear()
            try:
                await self._read_head()  # not the notification's revision: any client of the database can notify
                while await run_between(self._step):
                    pass
                self.health.record_followed()
            except LedgerError as error:
                self.health.record_failure(error)
            except Exception:
                logger.exception("cannot follow the ledger")

    async def wait_for_revision(self, revision: int, deadline: float) -> None:
        """Waits until the views hold a revision.

        Args:
            revision: The ledger's revision.
            deadline: In time.monotonic() seconds. The wait ends 50 ms earlier, so that the caller gets the error, and
                never lasts longer than 30 seconds.

        Raises:
            RequestError: UNAVAILABLE, at once if the ledger has no such revision, otherwise at the end of the wait.
            LedgerUnavailable: The ledger's head cannot be read.
        """
        if revision <= self.revision:
            return
        self._wake_up.set()
        seconds = min(deadline - time.monotonic() - _REPLY_SECONDS, _MAX_WAIT_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                if revision > self.head:
                    await self._read_head_once()
                if revision > self.head:  # it does not exist yet: a waiting call would hold its memory in vain
                    raise self._not_reached(revision)
                async with self._advanced:
                    await self._advanced.wait_for(lambda: revision <= self.revision)
        except TimeoutError as error:
            raise self._not_reached(revision) from error

    def _not_reached(self, revision: int) -> RequestError:
        message = f"this server is at revision {self.revision}, not yet at {revision}; retry"
        return RequestError(Code.UNAVAILABLE, "REVISION_NOT_REACHED", message, "min_revision", retry_delay=0.1)

    async def refresh(self) -> None:
        """Brings the views to the ledger's present head. Raises LedgerUnavailable."""
        await self._read_head_once()
        await self.wait_for_revision(self._latest_revision, np.inf)

    async def _read_head_once(self) -> None:
        """Reads the ledger's head; concurrent calls share one read. Raises LedgerUnavailable."""
        called_at = time.monotonic()
        async with self._head_lock:
            if self._head_read_at < called_at:  # otherwise another waiting call has read it since
                began, self._head_error = time.monotonic(), None
                try:
                    await self._read_head()
                except LedgerError as error:
                    self._head_error = error
                self._head_read_at = began  # not reached if this call is cancelled: then the next one reads
            error_of_read = self._head_error
        if error_of_read:  # every waiting call raises it: a read of an unavailable ledger takes seconds
            raise error_of_read.with_traceback(None)

    async def _read_head(self) -> None:
        head = await self._read(lambda ledger: ledger.head())
        self.health.record_read()
        self._latest_revision = max(self._latest_revision, head.revision)

    async def catch_up(self, head: Head, *, far: bool) -> bool:
        """Brings the views to the head that a transaction holds; see `ViewUpdater`."""
        while (self._head.revision, self._head.digest) != (head.revision, head.digest):
            delta = await self._read(lambda ledger: ledger.since(self._head.revision))
            if delta.before != self._head.digest or not delta.changes or (delta.more and not far):
                return False
            self._apply_delta(delta)
            if self._stale:
                return False
            await self._set_head(_head_after(self._head, delta))
        return not self._stale

    async def follow(self) -> bool:
        """Brings the views to the ledger's head; see `ViewUpdater`."""
        before, stale = self._head, bool(self._stale)
        while await self._step():
            pass
        return stale or self._head != before

    async def sync_to_head(self) -> Head:
        """Brings the views to the ledger's head and returns it. Call it between writes. Raises LedgerUnavailable."""
        await self.follow()
        return self._head

    async def _step(self) -> bool:
        """Applies the next changes; returns whether there may be more. Called while no write is in progress."""
        delta = await self._read(lambda ledger: ledger.since(self._head.revision))
        self.health.record_read()
        if delta.before == self._head.digest:
            self._apply_delta(delta)
            head, more = _head_after(self._head, delta), delta.more
        else:
            head, more = await self._restart(), True
        await self._rebuild_stale()
        await self._set_head(head)
        return more

    def _apply_delta(self, delta: Delta) -> None:
        """Applies changes of other servers, and marks the views that must be built again as stale."""
        if any(change.kind.endswith("_key") for change in delta.changes):
            self.keys_changed.set()
        applier = ChangeApplier(self._views, delta, self._changed)
        try:
            applier.apply()
            self._stale |= applier.rebuild
        except Exception:  # a bug; building the views again from the ledger corrects them
            logger.exception("cannot apply a change of another server; reloading its collections")
            self._stale |= {change.collection_id for change in delta.changes if change.collection_id}

    async def _restart(self) -> Head:
        """Marks every view as stale, because the ledger's history is not the one they hold; returns the head."""
        logger.error(
            "change %d of the ledger differs from the one this server applied: was the ledger restored? "
            "Reloading every collection",
            self._head.revision,
        )
        head = await self._read(lambda ledger: ledger.head())
        digest = await self._read(lambda ledger: ledger.digest(head.revision))
        records = await self._read(lambda ledger: ledger.collections())
        self._stale |= self._views.keys() | {record.id for record in records}
        self._latest_revision = 0
        self.keys_changed.set()
        return replace(head, digest=digest)

    async def _rebuild_stale(self) -> None:
        for collection_id in sorted(self._stale):
            try:
                await self.rebuild(collection_id)
            except LedgerDamaged as error:  # of this collection only; the others are rebuilt
                self._mark_unreadable(collection_id, error)
            except LedgerError:
                raise
            except Exception as error:
                self._mark_unreadable(collection_id, error)
            self._stale.discard(collection_id)

    def _mark_unreadable(self, collection_id: str, error: Exception) -> None:
        log_unreadable(collection_id, error)
        if view := self._views.get(collection_id):
            view.problem = UNREADABLE

    async def advance(self, revision: int) -> None:
        """Marks the views as current to `revision`; see `ViewUpdater`."""
        async with self._advanced:
            self.revision = max(self.revision, revision)
            self._advanced.notify_all()

    async def finish_group(self, head: Head, failed: Iterable[str]) -> None:
        """Marks the views as current to `head`; see `ViewUpdater`."""
        self._stale |= set(failed)
        with suppress(LedgerError):  # they stay stale, and are built when the ledger is available again
            await self._rebuild_stale()
        await self._set_head(head)

    async def _set_head(self, head: Head) -> None:
        """Marks the views as current to `head`, which may be before `revision` if the ledger was restored."""
        async with self._advanced:
            self._head, self.revision = head, head.revision
            self._advanced.notify_all()

    async def rebuild(self, collection_id: str) -> None:
        """Replaces a collection's view by one built from the ledger. Call it while no write is in progress.

        Raises LedgerError.
        """
        record = await self._read(lambda ledger: ledger.collection(collection_id))
        if record is None:
            self._views.pop(collection_id, None)
        else:
            self._views[collection_id] = view = await run_in_background(lambda: self._loader.load(record))
            view.watch(self._changed)


def log_unreadable(collection_id: str, error: Exception) -> None:
    """Logs why a collection cannot be read, with a traceback unless the ledger is known to be damaged."""
    trace = None if isinstance(error, LedgerDamaged) else error
    logger.error("collection %s cannot be read from the ledger: %s", collection_id, error, exc_info=trace)


def _head_after(head: Head, delta: Delta) -> Head:
    """Returns the ledger's head after the delta."""
    if not delta.changes:
        return head
    last = delta.changes[-1]
    sequence = max((example.sequence for example in delta.examples.values()), default=0)
    return replace(head, revision=last.revision, digest=last.digest, sequence=max(head.sequence, sequence))
