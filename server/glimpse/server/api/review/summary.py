"""ReviewService's calls on a whole queue: its summary, and its deletion."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from weakref import WeakKeyDictionary

from glimpse.fewshot.review.traffic import Estimate
from glimpse.ledger import CollectionRecord, Ledger, ReviewActivity, Writer
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.review_policy import review_fields
from glimpse.server.errors import RequestError, invalid
from glimpse.server.review.messages import rate_message
from glimpse.server.review.traffic_rates import Sample, TrafficRates
from glimpse.server.runtime import Runtime
from glimpse.v1 import collection_service_pb2
from glimpse.v1 import review_service_pb2 as pb

# Predicting for 2,000 queries takes a tenth of a second of the event loop, in small pieces.
_FRESH_SECONDS = 10.0
_WEEK = 7 * 86_400_000_000


class ReviewSummaryCalls(ResourceCalls):
    """Sums a queue up, and deletes it. Every method raises RequestError and LedgerError."""

    def __init__(self, runtime: Runtime) -> None:
        """Estimates rates with the parts of `runtime`."""
        super().__init__(runtime)
        self._rates = TrafficRates(runtime.catalog, runtime.neighbors, runtime.backbones)
        # The last rate of each collection, with its time and the collection's revisions then.
        self._last: WeakKeyDictionary[CollectionView, tuple[float, tuple[int, int], Estimate | None]] = (
            WeakKeyDictionary()
        )

    async def get(self, request: pb.GetReviewSummaryRequest, deadline: float) -> pb.GetReviewSummaryResponse:
        """Returns what waits, what was done, and the rates on recent queries.

        Args:
            request: The request.
            deadline: In time.monotonic() seconds.
        """
        view = self.view(request.name, "name")
        since, collection_id = _since(request), view.record.id

        def read(ledger: Ledger) -> tuple[dict[int, int], ReviewActivity]:
            return ledger.review.counts(collection_id), ledger.review.activity(collection_id, since)

        counts, activity = await self.catalog.read(read)
        sample = await self._rates.sample(view)
        now = await self._unknown_now(view, sample, deadline)
        waiting = [pb.DecisionCount(decision=one, count=counts[one]) for one in sorted(counts)]  # type: ignore[arg-type]
        return pb.GetReviewSummaryResponse(
            waiting=waiting,
            resolved_count=activity.resolved,
            dropped_count=activity.dropped,
            unknown_rate=rate_message(self._rates.unknown_before(sample)),
            unknown_rate_now=rate_message(now),
            accuracy=rate_message(self._rates.accuracy(view, sample)),
        )

    async def _unknown_now(self, view: CollectionView, sample: Sample, deadline: float) -> Estimate | None:
        """Returns the part of queries that would be UNKNOWN now, computed at most every few seconds for a revision."""
        revisions = (view.record.revision, view.fitted_revision)
        made, last, known = self._last.get(view, (-_FRESH_SECONDS, revisions, None))
        if last == revisions and time.monotonic() - made < _FRESH_SECONDS:
            return known
        with suppress(RequestError):  # the names of labels could not be embedded in time; the rest is known
            estimate = await self._rates.unknown_now(view, sample, deadline)
            self._last[view] = time.monotonic(), revisions, estimate
            return estimate
        return None

    async def purge(self, request: pb.PurgeReviewRequest) -> pb.PurgeReviewResponse:
        """Deletes the queue and the sample of a collection; with `stop_keeping`, its review policy first."""
        view = self.view(request.name, "name", usable=False)
        if request.stop_keeping and view.keeps_queries:
            await self._stop_keeping(view)
        deleted = await self.runtime.review.purge(view.record.id)
        return pb.PurgeReviewResponse(item_count=deleted.items, sample_count=deleted.samples)

    async def _stop_keeping(self, view: CollectionView) -> None:
        none = review_fields(collection_service_pb2.ReviewPolicy())

        def plan() -> Callable[[Writer], CollectionRecord]:
            self.catalog.check_current(view, "name")
            changed = replace(view.record, **none)
            return lambda writer: writer.update_collection(changed)

        def apply(record: CollectionRecord) -> int:
            self.catalog.put(record)
            return record.revision

        await self.catalog.write(plan, apply)


def _since(request: pb.GetReviewSummaryRequest) -> int:
    """Returns the start of the counts in microseconds since the epoch. Raises RequestError."""
    if not request.HasField("since"):
        return time.time_ns() // 1_000 - _WEEK
    try:
        return request.since.ToMicroseconds()
    except ValueError as error:
        raise invalid("OUT_OF_RANGE", f"since is no time: {error}", "since") from error
