"""ReviewService: lists kept queries and their groups, resolves them, and deletes them.

Every call of the service is a method here. Each passes its request to the object for the kind of work, which checks the
request, does the work, and returns the response.
"""

from glimpse.server.api.handlers import Context, deadline_of, unary
from glimpse.server.api.review.content import ReviewContentCalls
from glimpse.server.api.review.groups import ReviewGroupCalls
from glimpse.server.api.review.items import ReviewItemCalls
from glimpse.server.api.review.resolutions import ResolutionCalls
from glimpse.server.api.review.summary import ReviewSummaryCalls
from glimpse.server.review.groups.groupings import Groupings
from glimpse.server.runtime import Runtime
from glimpse.v1 import review_service_pb2 as pb
from glimpse.v1 import review_service_pb2_grpc


class ReviewService(review_service_pb2_grpc.ReviewServiceServicer):
    """Answers the calls of ReviewService with one object per kind of work."""

    #: Every call sees all writes committed when it began, by any server of the ledger; see handlers.unary.
    refreshes = True

    def __init__(self, runtime: Runtime) -> None:
        """Builds the objects that answer, from the parts of `runtime`."""
        self.runtime = runtime
        self.settings = runtime.settings
        groupings = Groupings(runtime.catalog)
        self._items = ReviewItemCalls(runtime, groupings)
        self._groups = ReviewGroupCalls(runtime, groupings)
        self._resolutions = ResolutionCalls(runtime, groupings)
        self._content = ReviewContentCalls(runtime)
        self._summary = ReviewSummaryCalls(runtime)

    @unary
    async def ListReviewItems(self, request: pb.ListReviewItemsRequest, context: Context) -> pb.ListReviewItemsResponse:
        """Ranks the items that wait, or finds the ranking of a page token, and returns a page."""
        return await self._items.list_page(request, deadline_of(context))

    @unary
    async def ListReviewGroups(
        self, request: pb.ListReviewGroupsRequest, context: Context
    ) -> pb.ListReviewGroupsResponse:
        """Returns a page of the last grouping, with the labels and the names that fit."""
        return await self._groups.list_page(request, deadline_of(context))

    @unary
    async def ResolveReviewItems(
        self, request: pb.ResolveReviewItemsRequest, context: Context
    ) -> pb.ResolveReviewItemsResponse:
        """Enrolls items, or takes them from the queue, in one transaction, and returns a result for each."""
        return await self._resolutions.resolve(request, deadline_of(context))

    @unary
    async def UndoReview(self, request: pb.UndoReviewRequest, context: Context) -> pb.UndoReviewResponse:
        """Takes a resolution back, with all that it enrolled, or nothing."""
        return await self._resolutions.undo(request)

    @unary
    async def GetReviewContent(
        self, request: pb.GetReviewContentRequest, context: Context
    ) -> pb.GetReviewContentResponse:
        """Returns the kept inputs of items, or thumbnails of them."""
        return await self._content.get(request)

    @unary
    async def GetReviewSummary(
        self, request: pb.GetReviewSummaryRequest, context: Context
    ) -> pb.GetReviewSummaryResponse:
        """Counts what waits and what was done, and estimates rates on recent queries."""
        return await self._summary.get(request, deadline_of(context))

    @unary
    async def PurgeReview(self, request: pb.PurgeReviewRequest, context: Context) -> pb.PurgeReviewResponse:
        """Deletes every kept query of a collection."""
        return await self._summary.purge(request)
