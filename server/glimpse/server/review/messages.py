"""Converts review items and estimates to messages of the contract."""

from glimpse.fewshot.review.traffic import Estimate
from glimpse.ledger import ReviewItem
from glimpse.server.collections.messages import timestamp
from glimpse.server.resource_names import review_item_name
from glimpse.v1 import review_service_pb2 as pb


def review_item_message(collection_id: str, item: ReviewItem) -> pb.ReviewItem:
    """Returns a review item."""
    return pb.ReviewItem(
        name=review_item_name(collection_id, item.id),
        decision=item.decision,  # type: ignore[arg-type]
        label_id=item.label_id,
        probability=item.probability,
        uncertainty=item.uncertainty,
        modality=item.modality,  # type: ignore[arg-type]
        content_digest=item.content_digest,
        content_bytes=item.content_bytes,
        count=item.count,
        embedding_space=item.embedding_space,
        caller=item.caller,
        domain=item.domain,
        create_time=timestamp(item.create_time),
        last_time=timestamp(item.last_time),
        expire_time=timestamp(item.expire_time),
    )


def rate_message(estimate: Estimate | None) -> pb.Rate | None:
    """Returns an estimate; None if there is none."""
    if estimate is None:
        return None
    return pb.Rate(value=estimate.value, low=estimate.low, high=estimate.high, sample_size=estimate.answered)
