"""CollectionService's call for the report of a collection."""

from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.classification.messages import decision_settings
from glimpse.server.classification.report import build_report
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.v1 import collection_service_pb2 as pb


class ReportCalls(ResourceCalls):
    """Answers GetCollectionReport."""

    async def get(self, request: pb.GetCollectionReportRequest, deadline: float) -> pb.GetCollectionReportResponse:
        """Waits for `min_revision` and for the fit of the current examples, and builds the report.

        Args:
            request: The request; its fields are checked here.
            deadline: When the caller stops waiting, in time.monotonic() seconds.

        Raises:
            RequestError: The collection is not found, or the revision or the fit takes longer than the deadline.
        """
        await self.catalog.follower.wait_for_revision(request.min_revision, deadline)
        view = self.view(request.name, "name")
        await self.runtime.fitter.wait_until_fitted(view, deadline)
        return build_report(
            view, decision_settings(view.record, source_of_collection(view.record, self.runtime.backbones)).policy
        )
