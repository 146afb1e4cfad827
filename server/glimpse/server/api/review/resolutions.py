"""ReviewService's calls that resolve items, and take a resolution back."""

from glimpse.ledger import AlreadyExists, NotFound, ReviewGroupChanged
from glimpse.server import resource_names, validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import already_exists, invalid, not_found
from glimpse.server.review.groups.groupings import Groupings
from glimpse.server.review.resolver import Resolver
from glimpse.server.review.undoing import Undoer
from glimpse.server.runtime import Runtime
from glimpse.v1 import review_service_pb2 as pb

_MAX_ITEMS = 1_000
_MAX_REQUEST_ID = 128


class ResolutionCalls(ResourceCalls):
    """Resolves items. Every method raises RequestError and LedgerError."""

    def __init__(self, runtime: Runtime, groupings: Groupings) -> None:
        """Writes with the parts of `runtime`; `groupings` has the groups that a request may mean."""
        super().__init__(runtime)
        self._groupings = groupings
        self._resolver = Resolver(
            runtime.catalog, runtime.backbones, runtime.neighbors, runtime.fitter, runtime.settings
        )
        self._undoer = Undoer(runtime.catalog)

    async def resolve(self, request: pb.ResolveReviewItemsRequest, deadline: float) -> pb.ResolveReviewItemsResponse:
        """Enrolls items, or takes them from the queue.

        Args:
            request: The request.
            deadline: In time.monotonic() seconds.
        """
        view = self.view(request.parent, "parent")
        item_ids = self.ids(view, request.names, "reviewItems", _MAX_ITEMS)
        _check_distinct(item_ids)
        validation.check_length(request.request_id, "request_id", _MAX_REQUEST_ID)
        kind = request.WhichOneof("resolution")
        if kind is None or (kind in ("negative", "skip") and not getattr(request, kind)):
            message = "say what the items are: a label_id, a new_label_id, negative, or skip"
            raise invalid("RESOLUTION_REQUIRED", message, "resolution")
        if request.group_etag and not await self._is_answered(view, request.request_id):
            await self._groupings.check(view, request.group_etag, item_ids)
        try:
            return await self._resolver.resolve(view, request, item_ids, deadline)
        except ReviewGroupChanged as error:
            raise await self._groupings.changed(view, item_ids) from error
        except AlreadyExists as error:
            raise already_exists("LABEL_EXISTS", str(error), "new_label_id") from error

    async def _is_answered(self, view: CollectionView, request_id: str) -> bool:
        """Returns whether a request was answered before; the ledger then returns the same response."""
        if not request_id:
            return False
        return await self.catalog.read(lambda ledger: ledger.review.is_answered(view.record.id, request_id))

    async def undo(self, request: pb.UndoReviewRequest) -> pb.UndoReviewResponse:
        """Takes a resolution back, with all that it enrolled, or nothing."""
        pattern = "collections/*/reviewResolutions/*"
        collection_id, resolution_id = resource_names.parse_name(request.name, pattern, "name")
        view = self.catalog.find(collection_id, "name")
        try:
            undone = await self._undoer.undo(view, resolution_id)
        except NotFound as error:
            message = f"there is no resolution {request.name!r}, or it is forgotten"
            raise not_found("RESOLUTION_NOT_FOUND", message, "name") from error
        return pb.UndoReviewResponse(
            item_count=len(undone.item_ids), example_count=len(undone.example_ids), revision=undone.revision
        )


def _check_distinct(item_ids: list[str]) -> None:
    seen: set[str] = set()
    for position, item_id in enumerate(item_ids):
        if item_id in seen:
            raise invalid("DUPLICATE_ITEM", f"item {item_id!r} is given twice", f"names[{position}]")
        seen.add(item_id)
