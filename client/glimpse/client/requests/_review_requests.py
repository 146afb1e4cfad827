"""Builds the requests for the review of kept queries."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from glimpse.client.requests._enums import Decision
from glimpse.client.requests._names import CollectionRef, Names, collection_name, names
from glimpse.client.results import _parse_review as parse
from glimpse.client.results import _review as results
from glimpse.client.results._resolution import ReviewResolution, ReviewUndo
from glimpse.client.transport._error_details import find_detail
from glimpse.client.transport._errors import Aborted
from glimpse.client.transport._retry import Session
from glimpse.client.transport._steps import Listing, Steps, Unary, exchange
from glimpse.v1 import review_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Resolve:
    """The call ResolveReviewItems, whose error may have a group.

    Attributes:
        request: The request message.
    """

    request: pb.ResolveReviewItemsRequest

    def steps(self, session: Session) -> Steps[ReviewResolution]:
        """Sends the request until it is answered or the retry policy gives up.

        Raises:
            ReviewGroupChanged: If the group has other members now.
            GlimpseError: If the call fails for another reason.
        """
        try:
            response = yield from exchange("review.ResolveReviewItems", self.request, session)
        except Aborted as error:
            if error.reason != "REVIEW_GROUP_CHANGED":
                raise
            raise _group_changed(error) from error
        return parse.resolution(response)


def _group_changed(error: Aborted) -> results.ReviewGroupChanged:
    changed = results.ReviewGroupChanged(
        error.message,
        code=error.code,
        reason=error.reason,
        field=error.field,
        attempts=error.attempts,
        request_id=error.request_id,
    )
    cause: Any = error.__cause__
    if isinstance(cause, grpc.RpcError) and (detail := find_detail(_trailers(cause), "glimpse.v1.ReviewGroup")):
        changed.group = parse.review_group(pb.ReviewGroup.FromString(detail))
    return changed


def _trailers(error: Any) -> list[tuple[str, str | bytes]]:
    return [(str(key), value) for key, value in error.trailing_metadata() or ()]


def list_review_items(
    collection: CollectionRef, decisions: Decision | Sequence[Decision], pairs: bool, page_size: int
) -> Listing[results.ReviewItem]:
    """Builds the requests of ListReviewItems."""
    parent = collection_name(collection)
    wanted: Any = [one.value for one in ([decisions] if isinstance(decisions, Decision) else decisions)]
    return Listing(
        "review.ListReviewItems",
        lambda token: pb.ListReviewItemsRequest(
            parent=parent, page_size=page_size, page_token=token, decisions=wanted, pairs=pairs
        ),
        lambda page: [parse.review_item(message) for message in page.items],
    )


def list_review_groups(collection: CollectionRef, vocabulary: Names, page_size: int) -> Listing[results.ReviewGroup]:
    """Builds the requests of ListReviewGroups."""
    parent = collection_name(collection)
    return Listing(
        "review.ListReviewGroups",
        lambda token: pb.ListReviewGroupsRequest(
            parent=parent, page_size=page_size, page_token=token, vocabulary=names(vocabulary)
        ),
        parse.review_groups,
    )


def resolve_review_items(
    collection: CollectionRef,
    items: Names | results.ReviewGroup,
    label: str | None,
    new_label: str | None,
    negative: bool,
    skip: bool,
    measure: bool,
    request_id: str,
) -> Resolve:
    """Builds the request of ResolveReviewItems.

    Raises:
        ValueError: If not exactly one of the four says what the items are.
    """
    values = {"label_id": label, "new_label_id": new_label, "negative": negative or None, "skip": skip or None}
    chosen: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    if len(chosen) != 1:
        raise ValueError("say what the items are by exactly one of label, new_label, negative and skip")
    group = items if isinstance(items, results.ReviewGroup) else None
    request = pb.ResolveReviewItemsRequest(
        parent=collection_name(collection),
        names=group.items if group else names(items),  # type: ignore[arg-type]
        group_etag=group.etag if group else "",
        request_id=request_id or str(uuid.uuid4()),
        measure=measure,
        **chosen,
    )
    return Resolve(request)


def undo_review(resolution: str) -> Unary[ReviewUndo]:
    """Builds the request of UndoReview."""
    return Unary("review.UndoReview", pb.UndoReviewRequest(name=resolution), parse.undo)


def review_summary(collection: CollectionRef, since: datetime | None) -> Unary[results.ReviewSummary]:
    """Builds the request of GetReviewSummary."""
    request = pb.GetReviewSummaryRequest(name=collection_name(collection))
    if since is not None:
        start = Timestamp()
        start.FromDatetime(since)
        request.since.CopyFrom(start)
    return Unary("review.GetReviewSummary", request, parse.summary)


def purge_review(collection: CollectionRef, stop_keeping: bool) -> Unary[results.ReviewPurge]:
    """Builds the request of PurgeReview."""
    request = pb.PurgeReviewRequest(name=collection_name(collection), stop_keeping=stop_keeping)
    return Unary("review.PurgeReview", request, parse.purge)
