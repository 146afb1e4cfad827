"""Keeping the views where the ledger is, whoever writes to it."""

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
# Between two looks at the ledger where nobody says that it changed.
_POLL_SECONDS = 1.0
# What is left of a deadline for telling the caller that a revision did not come; and the wait without a deadline.
_REPLY_SECONDS = 0.05
_MAX_WAIT_SECONDS = 30.0
#: What is wrong with a collection whose rows cannot be read.
UNREADABLE = RequestError(
    Code.INTERNAL, "COLLECTION_UNREADABLE", "the collection cannot be read from the ledger; the server's log says why"
)


class Read(Protocol):
    """A read of the ledger, in a thread."""

    async def __call__(self, query: Callable[[Ledger], T]) -> T:
        """What the query finds."""


class LedgerFollower:
    """How far the views have come, and what brings them on. For the event loop's thread alone."""

    def __init__(
        self,
        views: dict[str, CollectionView],
        head: Head,
        read: Read,
        loader: Loader,
        changed: Callable[[CollectionView], None],
    ) -> None:
        """`views`: as they are at `head`, or later."""
        self._views, self._read, self._loader, self._changed = views, read, loader, changed
        #: The revision that the views hold; within a group of writes it is past `_head`.
        self.revision: int = head.revision
        self._head = head
        # Collections whose views are to be built anew.
        self._stale: set[str] = set()
        self._moved, self._wanted = asyncio.Condition(), asyncio.Event()
        # When the ledger's head was looked at last, the revision seen, and what went wrong instead.
        self._looking, self._looked, self._seen = asyncio.Lock(), 0.0, 0
        self._unseen: LedgerError | None = None
        #: Set where an API key was made or revoked; whoever takes that on clears it.
        self.keys_changed: Final = asyncio.Event()
        self.health: Final = LedgerHealth()

    @property
    def head(self) -> int:
        """The last revision there is, as far as is known here; the views may be some changes behind."""
        return max(self.revision, self._seen)

    async def listen(self, url: str) -> None:
        """Hears at once what others write to a ledger in PostgreSQL."""
        async for revision in listen(url):
            if revision is None or revision > self.revision:
                self._wanted.set()

    async def wait_for_revision(self, revision: int, deadline: float) -> None:
        """Waits until the views hold a revision.

        Raises RequestError UNAVAILABLE at once where the ledger has no such revision, else shortly before `deadline`
        (time.monotonic()), so that the caller hears it; and LedgerUnavailable.
        """
        if revision <= self.revision:
            return
        self._wanted.set()
        seconds = min(deadline - time.monotonic() - _REPLY_SECONDS, _MAX_WAIT_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                if revision > self.head:
                    await self._look_once()
                if revision > self.head:  # nobody made it yet: what waits for it would hold its memory for nothing
                    raise self._not_reached(revision)
                async with self._moved:
                    await self._moved.wait_for(lambda: revision <= self.revision)
        except TimeoutError as error:
            raise self._not_reached(revision) from error

    def _not_reached(self, revision: int) -> RequestError:
        message = f"this server is at revision {self.revision}, not yet at {revision}"
        return RequestError(Code.UNAVAILABLE, "REVISION_NOT_REACHED", message, "min_revision", retry_delay=0.1)

    async def refresh(self) -> None:
        """Brings the views to where the ledger stands, where others may have written. Raises LedgerUnavailable."""
        await self._look_once()
        await self.wait_for_revision(self._seen, np.inf)

    async def _look_once(self) -> None:
        """Looks at the ledger's head; calls that ask at the same time share a look. Raises LedgerUnavailable."""
        asked = time.monotonic()
        async with self._looking:
            if self._looked < asked:  # else another call that waited has looked since
                began, self._unseen = time.monotonic(), None
                try:
                    await self._look()
                except LedgerError as error:
                    self._unseen = error
                self._looked = began  # not where this call is cancelled: then the next one looks
            failure = self._unseen
        if failure:  # the same for all who waited: each look at a ledger that is gone takes seconds
            raise failure.with_traceback(None)

    async def _look(self) -> None:
        head = await self._read(lambda ledger: ledger.head())
        self.health.record_read()
        self._seen = max(self._seen, head.revision)

    async def catch_up(self, head: Head, *, far: bool) -> bool:
        """See plans.Views."""
        while (self._head.revision, self._head.digest) != (head.revision, head.digest):
            delta = await self._read(lambda ledger: ledger.since(self._head.revision))
            if delta.before != self._head.digest or not delta.changes or (delta.more and not far):
                return False
            self._take_on(delta)
            if self._stale:
                return False
            await self._stand(_after(self._head, delta))
        return not self._stale

    async def follow(self) -> bool:
        """See plans.Views."""
        before, stale = self._head, bool(self._stale)
        while await self._step():
            pass
        return stale or self._head != before

    async def sync_to_head(self) -> Head:
        """Where the ledger stands, and the views with it. Called between writes. Raises LedgerUnavailable."""
        await self.follow()
        return self._head

    async def _step(self) -> bool:
        """Takes on the next changes of others; whether there may be more. Called while no write is under way."""
        delta = await self._read(lambda ledger: ledger.since(self._head.revision))
        self.health.record_read()
        if delta.before == self._head.digest:
            self._take_on(delta)
            head, more = _after(self._head, delta), delta.more
        else:
            head, more = await self._begin_anew(), True
        await self._rebuild_stale()
        await self._stand(head)
        return more

    def _take_on(self, delta: Delta) -> None:
        """Applies what others changed; what then is stale is to be built anew."""
        if any(change.kind.endswith("_key") for change in delta.changes):
            self.keys_changed.set()
        follower = ChangeApplier(self._views, delta, self._changed)
        try:
            follower.apply()
            self._stale |= follower.rebuild
        except Exception:  # a bug; the ledger has it all
            logger.exception("a change of another server could not be applied")
            self._stale |= {change.collection_id for change in delta.changes if change.collection_id}

    async def _begin_anew(self) -> Head:
        """Makes all stale: the ledger's changes are not those that the views were made of. Where it stands."""
        logger.error("the ledger's change %d is another now: was it restored? All is read anew", self._head.revision)
        head = await self._read(lambda ledger: ledger.head())
        digest = await self._read(lambda ledger: ledger.digest(head.revision))
        records = await self._read(lambda ledger: ledger.collections())
        self._stale |= self._views.keys() | {record.id for record in records}
        self._seen = 0
        self.keys_changed.set()
        return replace(head, digest=digest)

    async def _rebuild_stale(self) -> None:
        for collection_id in sorted(self._stale):
            try:
                await self.rebuild(collection_id)
            except LedgerDamaged as error:  # of this one alone; the others go on
                self._lose(collection_id, error)
            except LedgerError:
                raise
            except Exception as error:
                self._lose(collection_id, error)
            self._stale.discard(collection_id)

    def _lose(self, collection_id: str, error: Exception) -> None:
        log_unreadable(collection_id, error)
        if view := self._views.get(collection_id):
            view.problem = UNREADABLE

    async def arrived(self, revision: int) -> None:
        """See plans.Views."""
        async with self._moved:
            self.revision = max(self.revision, revision)
            self._moved.notify_all()

    async def stand_at(self, head: Head, failed: Iterable[str]) -> None:
        """See plans.Views."""
        self._stale |= set(failed)
        with suppress(LedgerError):  # then they stay stale, and are built when the ledger can be had
            await self._rebuild_stale()
        await self._stand(head)

    async def _stand(self, head: Head) -> None:
        """The views are here now, be it before where they were."""
        async with self._moved:
            self._head, self.revision = head, head.revision
            self._moved.notify_all()

    async def rebuild(self, collection_id: str) -> None:
        """Another view of a collection, as the ledger has it. Called while no write is under way."""
        record = await self._read(lambda ledger: ledger.collection(collection_id))
        if record is None:
            self._views.pop(collection_id, None)
        else:
            self._views[collection_id] = view = await run_in_background(lambda: self._loader.load(record))
            view.watch(self._changed)

    async def keep_up(self, between: Callable[[Callable[[], Awaitable[bool]]], Awaitable[bool]]) -> None:
        """Takes on what others write, as soon as that is said, and from time to time."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self._look()  # a notice may be anybody's
                while await between(self._step):
                    pass
                self.health.record_followed()
            except LedgerError as error:
                self.health.record_failure(error)
            except Exception:
                logger.exception("the ledger cannot be followed")


def log_unreadable(collection_id: str, error: Exception) -> None:
    """Says why a collection cannot be read; with a traceback where that is not known damage."""
    trace = None if isinstance(error, LedgerDamaged) else error
    logger.error("collection %s cannot be read from the ledger: %s", collection_id, error, exc_info=trace)


def _after(head: Head, delta: Delta) -> Head:
    """Where the ledger stood with these changes."""
    if not delta.changes:
        return head
    last = delta.changes[-1]
    sequence = max((one.sequence for one in delta.examples.values()), default=0)
    return replace(head, revision=last.revision, digest=last.digest, sequence=max(head.sequence, sequence))
