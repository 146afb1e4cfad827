"""ReviewService's call that lists items."""

from collections.abc import Collection

from glimpse.ledger import Ledger, ReviewItem
from glimpse.server import resource_names, validation
from glimpse.server.api.pages import Page
from glimpse.server.api.review.base import ReviewCalls
from glimpse.server.collections.collection import CollectionView
from glimpse.server.review.messages import review_item_message
from glimpse.server.review.ranking import Ranking, Rankings
from glimpse.server.runtime import Runtime
from glimpse.v1 import classification_service_pb2
from glimpse.v1 import review_service_pb2 as pb

# Items read at a time.
_READ_AHEAD = 100


class ReviewItemCalls(ReviewCalls):
    """Lists items. Every method raises RequestError and LedgerError."""

    def __init__(self, runtime: Runtime) -> None:
        """Ranks items with the parts of `runtime`."""
        super().__init__(runtime)
        self._rankings = Rankings(runtime.catalog)

    async def list_page(self, request: pb.ListReviewItemsRequest) -> pb.ListReviewItemsResponse:
        """Returns a page of the items that wait, those that teach most first."""
        view = self.view(request.parent, "parent")
        validation.check_count(request.decisions or [0], len(classification_service_pb2.Decision.values()), "decisions")
        for position, decision in enumerate(request.decisions):
            validation.check_enum(decision, classification_service_pb2.Decision.values()[1:], f"decisions[{position}]")
        page: Page[pb.ReviewItem] = Page(resource_names.page_size(request.page_size))
        decisions = frozenset(request.decisions)
        if request.page_token:
            ranking, start = self._rankings.find(view, decisions, request.page_token)
        else:
            ranking, start = await self._rankings.make(view, decisions), 0
        end = await self._fill(page, view, ranking, start)
        counts = await self.catalog.read(lambda ledger: ledger.review.counts(view.record.id))
        return pb.ListReviewItemsResponse(
            items=page.items,
            next_page_token=self._rankings.token(ranking, end) if page.more else "",
            total_count=sum(counts.values()),
        )

    async def _fill(self, page: Page[pb.ReviewItem], view: CollectionView, ranking: Ranking, start: int) -> int:
        """Fills a page with the items of a ranking that still wait; returns the place of the next page."""
        collection_id = view.record.id
        for place in range(start, len(ranking.item_ids), _READ_AHEAD):
            ids = ranking.ids(place, place + _READ_AHEAD)
            items = await self.catalog.read(lambda ledger, ids=ids: _waiting(ledger, collection_id, ids))  # type: ignore[misc]
            for offset, item_id in enumerate(ids):
                if item_id in items:
                    message = review_item_message(collection_id, items[item_id])
                    page.fill([(message, message.ByteSize())])
                    if page.more:
                        return place + offset
        return len(ranking.item_ids)


def _waiting(ledger: Ledger, collection_id: str, ids: Collection[str]) -> dict[str, ReviewItem]:
    items = ledger.review.items(collection_id, ids)
    return {item_id: item for item_id, item in items.items() if item.resolution_id is None}
