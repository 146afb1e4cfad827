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
from glimpse.server.review.enrolled import EnrolledSample
from glimpse.server.review.groups.group_messages import Members, etag_of, group_message, waiting_members
from glimpse.server.review.groups.grouping import Group, Grouping, make_grouping, most_items
from glimpse.server.review.waiting import read_waiting
from glimpse.server.scheduling.background import run_in_background

logger = logging.getLogger(__name__)
# A grouping is computed again after this time, or if the number of items has changed by this part.
_SECONDS, _CHANGED = 60.0, 0.1
# Collections whose groups are kept.
_MAX_COLLECTIONS = 16
# The bytes of a group in the details of an error. gRPC clients drop trailers of more than some kilobytes.
_MAX_DETAIL_BYTES = 2_048
_Key = tuple[str, int, str]


class Groupings:
    """The last groupings of collections. Use it in the event loop's thread only."""

    def __init__(self, catalog: Catalog) -> None:
        """Reads items through `catalog`."""
        self._catalog = catalog
        self._groupings: OrderedDict[_Key, Grouping] = OrderedDict()
        self._tasks: dict[_Key, asyncio.Task[Grouping]] = {}
        self._one_at_a_time = asyncio.Lock()  # a grouping takes the memory of all vectors of the queue

    async def get(self, view: CollectionView, count: int) -> Grouping:
        """Returns the last grouping. The first one for a collection that has items is waited for.

        Args:
            view: The collection.
            count: The items that wait now.

        Raises:
            LedgerError: There is no grouping yet, and the items cannot be read.
        """
        last = self._groupings.get(_key(view))
        if last is None or not last.item_count:
            return await self.make(view)
        if time.monotonic() - last.made > _SECONDS or abs(count - last.item_count) > _CHANGED * last.item_count:
            self._start(view)
        return last

    async def make(self, view: CollectionView) -> Grouping:
        """Computes a grouping, or waits for the one that is being computed. Raises LedgerError."""
        return await asyncio.shield(self._start(view))

    async def members(self, view: CollectionView, groups: Sequence[Group]) -> list[Members]:
        """Returns the members of groups that still wait. Raises LedgerError."""
        ids = [item_id for group in groups for item_id in group.item_ids]

        def read(ledger: Ledger) -> dict[str, ReviewItem]:
            return ledger.review.items(view.record.id, ids)

        items, space = await self._catalog.read(read), view.record.embedding_space
        return [waiting_members(group, items, space) for group in groups]

    async def check(self, view: CollectionView, etag: str, item_ids: Sequence[str]) -> None:
        """Checks that items are members of the group with an etag.

        The etag of all of them needs no group: the ledger checks that each still waits. So every server of the ledger
        accepts a whole group, whichever of them made it.

        Raises:
            RequestError: ABORTED if the items are a part of a group that has other members now, with the group in the
                details. INVALID_ARGUMENT if an item is no member.
            LedgerError: The items cannot be read.
        """
        if etag_of(item_ids) == etag:
            return
        members = await self._current(view, item_ids[:1])
        if members is None or members.etag != etag:
            raise _changed(view, members)
        known = {item.id for item in members.items}
        for position, item_id in enumerate(item_ids):
            if item_id not in known:
                message = f"item {item_id!r} is no member of the group"
                raise invalid("ITEM_NOT_IN_GROUP", message, f"names[{position}]")

    async def changed(self, view: CollectionView, item_ids: Sequence[str]) -> RequestError:
        """Returns the error of a call that named items of a group, of which some no longer wait. Raises LedgerError."""
        return _changed(view, await self._current(view, item_ids))

    async def _current(self, view: CollectionView, item_ids: Sequence[str]) -> Members | None:
        """Returns the group of the first of the items that is in one, with the members that wait; None without one."""
        grouping = self._groupings.get(_key(view)) or await self.make(view)
        group = next(filter(None, map(grouping.group_of, item_ids)), None)
        return (await self.members(view, [group]))[0] if group else None

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
        self._groupings[key] = grouping
        self._groupings.move_to_end(key)
        while len(self._groupings) > _MAX_COLLECTIONS:
            self._groupings.popitem(last=False)
        return grouping


def _key(view: CollectionView) -> _Key:
    return view.record.id, view.record.create_time, view.record.embedding_space


def _changed(view: CollectionView, members: Members | None) -> RequestError:
    message = "the group has other members now; look at it again"
    detail = None
    if members and members.items:
        detail = group_message(view.record.id, members)
        while detail.ByteSize() > _MAX_DETAIL_BYTES:
            del detail.items[len(detail.items) // 2 :]
    return RequestError(Code.ABORTED, "REVIEW_GROUP_CHANGED", message, "group_etag", detail=detail)
