"""Reads the results of ReviewService, and kept inputs, from messages."""

from typing import Any

from glimpse.client.requests._enums import Decision, Modality, member
from glimpse.client.results import _resolution as resolutions
from glimpse.client.results import _review as results
from glimpse.client.results._collection_report import Estimate
from glimpse.client.results._parse_resources import item_error, optional, time_of
from glimpse.v1 import review_service_pb2 as pb
from glimpse.v1 import types_pb2


def review_item(message: pb.ReviewItem) -> results.ReviewItem:
    """Reads a ReviewItem message."""
    return results.ReviewItem(
        name=message.name,
        decision=member(Decision, message.decision),
        label=message.label_id,
        probability=message.probability,
        uncertainty=message.uncertainty,
        modality=member(Modality, message.modality),
        content_digest=message.content_digest,
        content_bytes=message.content_bytes,
        count=message.count,
        embedding_space=message.embedding_space,
        caller=message.caller,
        domain=message.domain,
        create_time=time_of(message.create_time),
        last_time=time_of(message.last_time),
        expire_time=time_of(message.expire_time),
        with_previous=message.with_previous,
    )


def review_groups(page: pb.ListReviewGroupsResponse) -> list[results.ReviewGroup]:
    """Reads the groups of a ListReviewGroupsResponse message."""
    return [review_group(message, page) for message in page.groups]


def review_group(message: pb.ReviewGroup, page: pb.ListReviewGroupsResponse | None = None) -> results.ReviewGroup:
    """Reads a ReviewGroup message. `page` is the response that has it; None if it comes with an error."""
    return results.ReviewGroup(
        etag=message.etag,
        items=tuple(message.items),
        size=message.size,
        query_count=message.query_count,
        spread=message.spread,
        proposed_label=message.proposed_label_id,
        probability=message.probability,
        names=tuple(results.ProposedName(proposed.name, proposed.cosine) for proposed in message.names),
        compute_time=time_of(page.compute_time) if page is not None else None,
        ungrouped_count=page.ungrouped_count if page is not None else 0,
    )


def resolution(message: pb.ResolveReviewItemsResponse) -> resolutions.ReviewResolution:
    """Reads a ResolveReviewItemsResponse message."""
    return resolutions.ReviewResolution(
        name=message.resolution,
        results=tuple(map(_item_result, message.results)),
        revision=message.revision,
        accuracy_before=optional(message, "accuracy_before"),
        accuracy_after=optional(message, "accuracy_after"),
        unknown_rate_before=optional(message, "unknown_rate_before"),
        unknown_rate_after=optional(message, "unknown_rate_after"),
    )


def _item_result(message: pb.ReviewItemResult) -> resolutions.ReviewItemResult:
    error = item_error(message.status)
    return resolutions.ReviewItemResult(
        message.name, error, message.example, message.resolved_by, message.resolved_label_id
    )


def undo(message: pb.UndoReviewResponse) -> resolutions.ReviewUndo:
    """Reads an UndoReviewResponse message."""
    return resolutions.ReviewUndo(message.item_count, message.example_count, message.revision)


def summary(message: pb.GetReviewSummaryResponse) -> results.ReviewSummary:
    """Reads a GetReviewSummaryResponse message."""
    return results.ReviewSummary(
        waiting={member(Decision, one.decision): one.count for one in message.waiting},
        resolved_count=message.resolved_count,
        dropped_count=message.dropped_count,
        unknown_rate=_rate(message, "unknown_rate"),
        unknown_rate_now=_rate(message, "unknown_rate_now"),
        accuracy=_rate(message, "accuracy"),
    )


def _rate(message: Any, field: str) -> Estimate | None:
    if not message.HasField(field):
        return None
    rate = getattr(message, field)
    return Estimate(rate.value, rate.low, rate.high, rate.sample_size)


def purge(message: pb.PurgeReviewResponse) -> results.ReviewPurge:
    """Reads a PurgeReviewResponse message."""
    return results.ReviewPurge(message.item_count, message.sample_count)


def kept_input(message: types_pb2.Content) -> results.KeptInput:
    """Reads a Content message."""
    kind = message.WhichOneof("content")
    return results.KeptInput(message.name, getattr(message, kind) if kind else None, item_error(message.status))
