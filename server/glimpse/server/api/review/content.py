"""ReviewService's call for the content of items."""

from collections.abc import Sequence

from glimpse.ledger import ReviewItem
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.content import MAX_NAMES, KeptInput, check_readable, not_kept, read_contents
from glimpse.server.review.resolution_results import item_not_found
from glimpse.v1 import review_service_pb2 as pb

# The most bytes of the inputs read at a time: 4 of the largest.
_READ_BYTES = 64 << 20


class ReviewContentCalls(ResourceCalls):
    """Returns kept inputs. Every method raises RequestError and LedgerError."""

    async def get(self, request: pb.GetReviewContentRequest) -> pb.GetReviewContentResponse:
        """Returns the kept inputs of items, or thumbnails of them."""
        view = self.view(request.parent, "parent", usable=False)
        ids = self.ids(view, request.names, "reviewItems", MAX_NAMES)
        check_readable(view, request.thumbnail_size)
        collection_id = view.record.id
        items = await self.catalog.read(lambda ledger: ledger.review.items(collection_id, ids))

        async def read(keys: Sequence[str]) -> dict[str, bytes]:
            return await self.catalog.read(lambda ledger: ledger.review.contents(collection_id, keys, _READ_BYTES))

        inputs = [_kept_input(name, items.get(id)) for name, id in zip(request.names, ids, strict=True)]
        contents = await read_contents(inputs, read, self.runtime.decoders, request.thumbnail_size)
        return pb.GetReviewContentResponse(contents=contents)


def _kept_input(name: str, item: ReviewItem | None) -> KeptInput:
    if item is None:
        return KeptInput(name, refusal=item_not_found(name))
    if not item.content_bytes:
        return KeptInput(name, refusal=not_kept(name))
    return KeptInput(name, item.id, item.modality, item.content_bytes)
