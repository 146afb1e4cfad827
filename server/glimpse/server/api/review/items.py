"""ReviewService's call that lists items."""

import re
import time
from collections.abc import Collection, Sequence

from glimpse.ledger import Ledger, ReviewItem
from glimpse.server import resource_names, validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.pages import Page
from glimpse.server.collections.collection import CollectionView
from glimpse.server.review.groups.groupings import Groupings
from glimpse.server.review.messages import review_item_message
from glimpse.server.review.page_tokens import pack, unpack
from glimpse.server.review.pairs import pair_items
from glimpse.server.review.ranking import Ranker
from glimpse.server.runtime import Runtime
from glimpse.server.scheduling.background import run_in_background
from glimpse.v1 import classification_service_pb2
from glimpse.v1 import review_service_pb2 as pb

# An item and its message.
_Listed = tuple[ReviewItem, pb.ReviewItem]
# Items read at a time.
_READ_AHEAD = 100
_ID = re.compile("[0-9a-f]{16}")


class ReviewItemCalls(ResourceCalls):
    """Lists items. Every method raises RequestError and LedgerError."""

    def __init__(self, runtime: Runtime, groupings: Groupings) -> None:
        """Ranks items with the parts of `runtime`, and pairs them by their groups in `groupings`."""
        super().__init__(runtime)
        self._ranker = Ranker(runtime.catalog)
        self._groupings = groupings

    async def list_page(self, request: pb.ListReviewItemsRequest, deadline: float) -> pb.ListReviewItemsResponse:
        """Returns a page of the items that wait, those that teach most first.

        Args:
            request: The request.
            deadline: In time.monotonic() seconds.
        """
        view = self.view(request.parent, "parent")
        validation.check_count(request.decisions or [0], len(classification_service_pb2.Decision.values()), "decisions")
        for position, decision in enumerate(request.decisions):
            validation.check_enum(decision, classification_service_pb2.Decision.values()[1:], f"decisions[{position}]")
        page: Page[_Listed] = Page(resource_names.page_size(request.page_size))
        decisions, start = frozenset(request.decisions), time.time_ns() // 1_000
        scope = " ".join(map(str, ("items", view.record.id, view.record.create_time, *sorted(decisions))))
        ids: Sequence[str]
        if request.page_token:
            start, ids = await run_in_background(lambda: unpack(request.page_token, scope, _ID, start))
        else:
            ids = await self._ranker.rank(view, decisions)
        end = await self._fill(page, view, ids)
        counts = await self.catalog.read(lambda ledger: ledger.review.counts(view.record.id))
        waiting = sum(counts.values())
        pairs = await self._pairs(view, page.items, waiting, deadline) if request.pairs else None
        return pb.ListReviewItemsResponse(
            items=pairs or [message for _, message in page.items],
            next_page_token=await run_in_background(lambda: pack(scope, start, ids[end:])) if page.more else "",
            total_count=waiting,
        )

    async def _pairs(
        self, view: CollectionView, items: Sequence[_Listed], waiting: int, deadline: float
    ) -> list[pb.ReviewItem]:
        """Returns the messages of a page with items of one kind in pairs."""
        grouping, messages = await self._groupings.get(view, waiting), list[pb.ReviewItem]()
        neighbors, backbones = self.runtime.neighbors, self.runtime.backbones
        ranked = [item for item, _ in items]
        for place, follows in await pair_items(view, ranked, grouping, neighbors, backbones, deadline):
            message = items[place][1]
            message.with_previous = follows
            messages.append(message)
        return messages

    async def _fill(self, page: Page[_Listed], view: CollectionView, ids: Sequence[str]) -> int:
        """Fills a page with the items that still wait; returns the place of the next page."""
        collection_id = view.record.id
        for place in range(0, len(ids), _READ_AHEAD):
            some = ids[place : place + _READ_AHEAD]
            items = await self.catalog.read(lambda ledger, some=some: _waiting(ledger, collection_id, some))  # type: ignore[misc]
            for offset, item_id in enumerate(some):
                if item_id in items:
                    message = review_item_message(collection_id, items[item_id])
                    page.fill([((items[item_id], message), message.ByteSize())])
                    if page.more:
                        return place + offset
        return len(ids)


def _waiting(ledger: Ledger, collection_id: str, ids: Collection[str]) -> dict[str, ReviewItem]:
    items = ledger.review.items(collection_id, ids)
    return {item_id: item for item_id, item in items.items() if item.resolution_id is None}
