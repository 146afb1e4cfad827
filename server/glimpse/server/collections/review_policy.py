"""The review policy of a collection: the fields of its record, its message, and its defaults."""

from typing import Any

from glimpse.ledger import CollectionRecord
from glimpse.v1 import collection_service_pb2 as pb

#: The field of the record for each field of the message.
REVIEW_FIELDS = {
    "keep_unknown": "review_unknown",
    "keep_ambiguous": "review_ambiguous",
    "match_rate": "review_match_rate",
    "keep_inputs": "review_inputs",
    "max_items": "review_max_items",
    "keep_days": "review_keep_days",
}
_MAX_ITEMS, _KEEP_DAYS = 1_000, 30


def review_fields(policy: pb.ReviewPolicy) -> dict[str, Any]:
    """Returns the fields of a record for a policy; an unset policy keeps nothing."""
    return {field: getattr(policy, name) for name, field in REVIEW_FIELDS.items()}


def review_policy(record: CollectionRecord) -> pb.ReviewPolicy | None:
    """Returns the policy of a record as a message; None if every field has its default."""
    policy = pb.ReviewPolicy(**{name: getattr(record, field) for name, field in REVIEW_FIELDS.items()})
    return policy if policy.ByteSize() else None


def max_items(record: CollectionRecord) -> int:
    """Returns the most items that wait."""
    return record.review_max_items or _MAX_ITEMS


def keep_days(record: CollectionRecord) -> int:
    """Returns the days after which an item is deleted."""
    return record.review_keep_days or _KEEP_DAYS
