"""Keeping the views where the ledger is, whoever writes to it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

import numpy as np

from glimpse.ledger import Delta, Head, Ledger, LedgerError, listen
from glimpse.server.aside import aside
from glimpse.server.errors import Code, RequestError
from glimpse.server.following import Follower
from glimpse.server.loading import Loader
from glimpse.server.view import CollectionView

logger = logging.getLogger(__name__)
T = TypeVar("T")
# Between two looks at the ledger where nobody says that it changed.
_POLL_SECONDS = 1.0
# What is left of a deadline for telling the caller that a revision did not come; and the wait without a deadline.
_REPLY_SECONDS = 0.05
_MAX_WAIT_SECONDS = 30.0


class Read(Protocol):
    """A read of the ledger, in a thread."""

    async def __call__(self, query: Callable[[Ledger], T]) -> T:
        """What the query finds."""


class Tracker:
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
        #: The revision that the views hold.
        self.revision: int = head.revision
        self._digest = head.digest
        # Collections whose views are to be built anew.
        self._stale: set[str] = set()
        self._moved, self._wanted = asyncio.Condition(), asyncio.Event()
        # When the ledger's head was looked at last, and the revision seen.
        self._looking, self._looked, self._seen = asyncio.Lock(), 0.0, 0
        #: Set where an API key was made or revoked; whoever takes that on clears it.
        self.keys_changed: Final = asyncio.Event()

    @property
    def head(self) -> int:
        """The last revision there is, as far as is known here; the views may be some changes behind."""
        return max(self.revision, self._seen)

    async def listen(self, url: str) -> None:
        """Hears at once what others write to a ledger in PostgreSQL."""
        async for revision in listen(url):
            self._seen = max(self._seen, revision or 0)
            if revision is None or revision > self.revision:
                self._wanted.set()

    async def reach(self, revision: int, deadline: float) -> None:
        """Waits until the views hold a revision.

        Raises RequestError UNAVAILABLE shortly before `deadline` (time.monotonic()), so that the caller hears it.
        """
        if revision <= self.revision:
            return
        self._wanted.set()
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

    async def reached_head(self) -> Head:
        """Where the ledger stands, once the views have reached that. Raises LedgerUnavailable, and RequestError."""
        head = await self._read(lambda ledger: ledger.head())
        await self.reach(head.revision, np.inf)
        return head

    async def refresh(self) -> None:
        """Brings the views to where the ledger stands, where others may have written. Raises LedgerUnavailable."""
        asked = time.monotonic()
        async with self._looking:
            if self._looked < asked:  # else one of those who waited too has looked since
                self._looked, head = time.monotonic(), await self._read(lambda ledger: ledger.head())
                self._seen = max(self._seen, head.revision)
        await self.reach(self._seen, np.inf)

    async def catch_up(self, head: Head) -> bool:
        """See commits.Views."""
        while (self.revision, self._digest) != (head.revision, head.digest):
            delta = await self._read(lambda ledger: ledger.since(self.revision))
            if delta.before != self._digest or not delta.changes:
                return False
            self._take_on(delta)
            if self._stale:
                return False
            await self._arrived_at(delta)
        return not self._stale

    async def follow(self) -> None:
        """See commits.Views."""
        while await self._step():
            pass

    async def _step(self) -> bool:
        """The next changes of others, if there are any. Called while no write is under way."""
        delta = await self._read(lambda ledger: ledger.since(self.revision))
        if delta.before != self._digest:
            await self._begin_anew()
        else:
            self._take_on(delta)
        for collection_id in sorted(self._stale):
            await self.rebuild(collection_id)
            self._stale.discard(collection_id)
        if delta.before == self._digest and delta.changes:
            await self._arrived_at(delta)
        return bool(delta.changes)

    def _take_on(self, delta: Delta) -> None:
        """Applies what others changed; what then is stale is to be built anew."""
        if any(change.kind.endswith("_key") for change in delta.changes):
            self.keys_changed.set()
        follower = Follower(self._views, delta, self._changed)
        try:
            follower.apply()
            self._stale |= follower.rebuild
        except Exception:  # a bug; the ledger has it all
            logger.exception("a change of another server could not be applied")
            self._stale |= {change.collection_id for change in delta.changes if change.collection_id}

    async def _begin_anew(self) -> None:
        """Takes the ledger as it is: its changes are not those that the views were made of."""
        head = await self._read(lambda ledger: ledger.head())
        records = await self._read(lambda ledger: ledger.collections())
        logger.error("the ledger's change %d is another now: was it restored? All is read anew", self.revision)
        self._stale |= self._views.keys() | {record.id for record in records}
        self.revision, self._digest, self._seen = head.revision, head.digest, head.revision
        self.keys_changed.set()

    async def _arrived_at(self, delta: Delta) -> None:
        last = delta.changes[-1]
        self._digest = last.digest
        await self.arrived(last.revision)

    async def arrived(self, revision: int) -> None:
        """The views hold a revision now."""
        async with self._moved:
            self.revision = max(self.revision, revision)
            self._moved.notify_all()

    async def stand_at(self, head: Head, failed: Iterable[str]) -> None:
        """See commits.Views."""
        self._digest = head.digest
        self._stale |= set(failed)
        if self._stale:
            self._wanted.set()
        await self.arrived(head.revision)

    async def rebuild(self, collection_id: str) -> None:
        """Another view of a collection that has another index or backbone. Called while no write is under way."""
        record = await self._read(lambda ledger: ledger.collection(collection_id))
        if record is None:
            self._views.pop(collection_id, None)
        else:
            self._views[collection_id] = view = await aside(lambda: self._loader.load(record))
            view.watch(self._changed)

    async def keep_up(self, between: Callable[[Callable[[], Awaitable[bool]]], Awaitable[bool]]) -> None:
        """Takes on what others write, as soon as that is said, and from time to time."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                while await between(self._step):
                    pass
            except LedgerError as error:
                logger.warning("the ledger cannot be followed: %s", error)
            except Exception:
                logger.exception("a change of another server could not be taken on")
