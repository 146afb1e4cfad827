"""CollectionService's call on what a collection knows of itself."""

from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.handlers import Context, deadline_of, unary
from glimpse.server.classification.messages import decision_settings
from glimpse.server.classification.report import build_report
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.v1 import collection_service_pb2 as pb


class CheckCalls(ResourceCalls):
    """See the contract."""

    @unary
    async def GetCollectionReport(
        self, request: pb.GetCollectionReportRequest, context: Context
    ) -> pb.GetCollectionReportResponse:
        """Figures of a collection whose fit is of its examples as they are."""
        deadline = deadline_of(context)
        await self.catalog.follower.wait_for_revision(request.min_revision, deadline)
        view = self.view(request.name, "name")
        await self.runtime.fitter.wait_until_fitted(view, deadline)
        return build_report(
            view, decision_settings(view.record, source_of_collection(view.record, self.runtime.backbones)).policy
        )
