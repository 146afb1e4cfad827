"""Keeps the groups of every collection that somebody reviews, and computes them again in the background."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence

from glimpse.ledger import Ledger, LedgerError, ReviewItem
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import Code, RequestError, invalid
from glimpse.server.resource_names import page_after, page_token
from glimpse.server.review.enrolled import EnrolledSample
from glimpse.server.review.groups.group_messages import Members, etag_of, group_message, waiting_members
from glimpse.server.review.groups.grouping import Grouping, make_grouping, most_items
from glimpse.server.review.waiting import read_waiting
from glimpse.server.scheduling.background import run_in_background

logger = logging.getLogger(__name__)
# A grouping is computed again after this time, or if the number of items has changed by this part.
_SECONDS, _CHANGED = 60.0, 0.1
# Collections whose groups are kept, and groupings of each: pages of the one before can still be read.
_MAX_COLLECTIONS, _MAX_GROUPINGS = 16, 2
_Key = tuple[str, int, str]


class Groupings:
    """The last groupings of collections. Use it in the event loop's thread only."""

    def __init__(self, catalog: Catalog) -> None:
        """Reads items through `catalog`."""
        self._catalog = catalog
        self._groupings: OrderedDict[_Key, list[Grouping]] = OrderedDict()
        self._tasks: dict[_Key, asyncio.Task[Grouping]] = {}
        self._one_at_a_time = asyncio.Lock()  # a grouping takes the memory of all vectors of the queue

    async def get(self, view: CollectionView, count: int) -> Grouping:
        """Returns the last grouping. The first one for a collection is waited for.

        Args:
            view: The collection.
            count: The items that wait now.

        Raises:
            LedgerError: There is no grouping yet, and the items cannot be read.
        """
        last = self.last(view)
        if last is None:
            return await self.make(view)
        if time.monotonic() - last.made > _SECONDS or abs(count - last.count) > _CHANGED * last.count:
            self._start(view)
        return last

    def last(self, view: CollectionView) -> Grouping | None:
        """Returns the last grouping of a collection; None if there is none."""
        kept = self._groupings.get(_key(view))
        return kept[-1] if kept else None

    async def make(self, view: CollectionView) -> Grouping:
        """Computes a grouping, or waits for the one that is being computed. Raises LedgerError."""
        return await asyncio.shield(self._start(view))

    def find(self, view: CollectionView, token: str) -> tuple[Grouping, int]:
        """Returns the grouping of a page token, and the group that its page starts with. Raises RequestError."""
        grouping_id, _, place = page_after(token).partition(".")
        if len(grouping_id) != 16 or not place.isdecimal() or len(place) > 9:
            raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list", "page_token")
        for grouping in self._groupings.get(_key(view), ()):
            if grouping.id == grouping_id:
                return grouping, int(place)
        message = "the groups of this page token are forgotten; start from the first page"
        raise invalid("PAGE_TOKEN_EXPIRED", message, "page_token")

    @staticmethod
    def token(grouping: Grouping, group: int) -> str:
        """Returns the token of the page that starts with a group."""
        return page_token(f"{grouping.id}.{group}")

    async def members(self, view: CollectionView, grouping: Grouping, group: int) -> Members:
        """Returns the members of a group that still wait. Raises LedgerError."""
        ids = grouping.members(group)

        def read(ledger: Ledger) -> dict[str, ReviewItem]:
            return ledger.review.items(view.record.id, ids)

        return waiting_members(grouping, group, await self._catalog.read(read), view.record.embedding_space)

    async def check(self, view: CollectionView, etag: str, item_ids: Sequence[str]) -> None:
        """Checks that items are members of the group with an etag, as it is now.

        A server without the groups, for example after a restart, accepts the whole group by its etag alone.

        Raises:
            RequestError: ABORTED if the group has other members, with the group in its details.
            LedgerError: The items cannot be read.
        """
        grouping = self.last(view)
        whole = etag_of(item_ids) == etag
        if grouping is None and whole:
            return
        grouping = grouping or await self.make(view)
        group = grouping.group_of(item_ids[0])
        if group is None and whole:
            return
        members = await self.members(view, grouping, group) if group is not None else None
        if members is None or members.etag != etag:
            raise _changed(view, grouping, members)
        known = {item.id for item in members.items}
        for position, item_id in enumerate(item_ids):
            if item_id not in known:
                message = f"item {item_id!r} is no member of the group"
                raise invalid("ITEM_NOT_IN_GROUP", message, f"names[{position}]")

    async def changed(self, view: CollectionView, item_ids: Sequence[str]) -> RequestError:
        """Returns the error of a call whose group has changed while it waited. Raises LedgerError."""
        grouping = self.last(view)
        group = grouping.group_of(item_ids[0]) if grouping else None
        if grouping is None or group is None:
            return _changed(view, grouping, None)
        return _changed(view, grouping, await self.members(view, grouping, group))

    def _start(self, view: CollectionView) -> "asyncio.Task[Grouping]":
        key = _key(view)
        if (task := self._tasks.get(key)) is None:
            task = self._tasks[key] = asyncio.create_task(self._make(view, key))
            task.add_done_callback(lambda done: self._done(key, done))
        return task

    def _done(self, key: _Key, task: "asyncio.Task[Grouping]") -> None:
        del self._tasks[key]
        if not task.cancelled() and (error := task.exception()):
            known = isinstance(error, LedgerError)
            logger.warning("cannot group review items of collection %s: %s", key[0], error, exc_info=not known)

    async def _make(self, view: CollectionView, key: _Key) -> Grouping:
        collection_id, _, space = key
        async with self._one_at_a_time:
            most = most_items(view.record.dimension)
            waiting = await self._catalog.read(lambda ledger: read_waiting(ledger, collection_id, space, most))
            enrolled = EnrolledSample.of(view, chosen=True)
            grouping = await run_in_background(lambda: make_grouping(waiting, enrolled))
        kept = self._groupings.setdefault(key, [])
        kept[:] = [*kept, grouping][-_MAX_GROUPINGS:]
        self._groupings.move_to_end(key)
        while len(self._groupings) > _MAX_COLLECTIONS:
            self._groupings.popitem(last=False)
        return grouping


def _key(view: CollectionView) -> _Key:
    return view.record.id, view.record.create_time, view.record.embedding_space


def _changed(view: CollectionView, grouping: Grouping | None, members: Members | None) -> RequestError:
    message = "the group has other members now; look at it again"
    detail = group_message(view, grouping, members) if grouping and members and members.items else None
    return RequestError(Code.ABORTED, "REVIEW_GROUP_CHANGED", message, "group_etag", detail=detail)
