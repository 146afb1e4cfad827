"""CollectionService's calls for the report of a collection and for its numbers of decisions."""

from dataclasses import replace
from datetime import date, timedelta

from glimpse.server import validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.auth.caller import current_caller
from glimpse.server.auth.scopes import Scope
from glimpse.server.classification.messages import decision_settings
from glimpse.server.classification.report import build_report
from glimpse.server.collections.decision_counts import today
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.maintenance.decision_writer import KEPT_DAYS
from glimpse.v1 import collection_service_pb2 as pb

# The days of the counts if the request names no number.
_DEFAULT_DAYS = 30


class ReportCalls(ResourceCalls):
    """Answers GetCollectionReport and GetDecisionCounts."""

    async def get(self, request: pb.GetCollectionReportRequest, deadline: float) -> pb.GetCollectionReportResponse:
        """Waits for `min_revision`, compares backbones if asked, waits for the fit, and builds the report.

        Args:
            request: The request; its fields are checked here. `compare_backbones` embeds, and needs the scope for it.
            deadline: When the caller stops waiting, in time.monotonic() seconds.

        Raises:
            RequestError: The collection is not found, or the revision, the comparison or the fit takes longer than the
                deadline.
        """
        await self.catalog.follower.wait_for_revision(request.min_revision, deadline)
        view, comparison = self.view(request.name, "name"), None
        if request.compare_backbones:
            replace(current_caller(), scope=Scope.CLASSIFY).check(view.record.id, "compare_backbones")
            comparison = await self.runtime.backbone_comparison.compare(view, deadline)
        await self.runtime.fitter.wait_until_fitted(view, deadline)
        policy = decision_settings(view, source_of_collection(view.record, self.runtime.backbones)).policy
        return build_report(view, policy, include_left_out=request.include_left_out, comparison=comparison)

    async def decision_counts(self, request: pb.GetDecisionCountsRequest) -> pb.GetDecisionCountsResponse:
        """Returns how often the collection made each decision on the last days, on all servers together.

        Raises RequestError and LedgerError.
        """
        view = self.view(request.name, "name", usable=False)
        days = request.days or _DEFAULT_DAYS
        validation.check_range(days, 1, KEPT_DAYS, "days")
        first_day = today() - days + 1
        counts = await self.catalog.read(lambda ledger: ledger.decisions(view.record.id, first_day))
        return pb.GetDecisionCountsResponse(
            days=[
                pb.DecisionCounts(
                    date=(date(1970, 1, 1) + timedelta(days=count.day)).isoformat(),
                    match=count.match_count,
                    unknown=count.unknown_count,
                    ambiguous=count.ambiguous_count,
                )
                for count in counts
            ]
        )
