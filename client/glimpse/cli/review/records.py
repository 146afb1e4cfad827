"""The fields of items and groups as the command prints them, and the columns of its tables."""

from dataclasses import asdict
from typing import Any

from glimpse.cli.common.output import Column
from glimpse.cli.review.names import SHORT
from glimpse.client import ReviewGroup, ReviewItem

_ID = 16  # characters of an item's id, which is never cut: other commands need it
#: The fields of an item, in order.
ITEM_FIELDS = (
    *("id", "item", "decision", "label", "probability", "uncertainty", "modality", "count", "content_bytes"),
    *("content_digest", "embedding_space", "caller", "domain", "create_time", "last_time", "expire_time"),
    "with_previous",
)
_FIRST = (Column("ID", _ID), Column("DECISION", 9), Column("LABEL"), Column("PROBABILITY", 11, right=True))
ITEM_COLUMNS = (*_FIRST, Column("MODALITY", 8), Column("COUNT", 5, right=True))
#: The columns of a list of pairs.
PAIR_COLUMNS = (*ITEM_COLUMNS, Column("WITH PREVIOUS", 13))
#: The fields and columns of an item with its content.
CONTENT_FIELDS = (*ITEM_FIELDS, "text", "file")
CONTENT_COLUMNS = (*_FIRST, Column("CONTENT", share=2))
#: The fields of a group, in order.
GROUP_FIELDS = ("etag", "size", "queries", "spread", "label", "probability", "names", "compute_time", "items")
GROUP_COLUMNS = (
    Column("GROUP", SHORT),
    *(Column("SIZE", 5, right=True), Column("QUERIES", 7, right=True), Column("SPREAD", 6, right=True)),
    *(Column("LABEL"), Column("PROBABILITY", 11, right=True), Column("NAMES")),
)


def item_record(item: ReviewItem) -> dict[str, Any]:
    """Returns an item's fields for printing."""
    return {
        "id": item.id,
        "item": item.name,
        "decision": item.decision.name,
        "label": item.label or None,
        "probability": item.probability if item.label else None,
        "uncertainty": item.uncertainty,
        "modality": item.modality.name,
        "count": item.count,
        "content_bytes": item.content_bytes,
        "content_digest": item.content_digest,
        "embedding_space": item.embedding_space,
        "caller": item.caller,
        "domain": item.domain,
        "create_time": item.create_time.isoformat(timespec="seconds"),
        "last_time": item.last_time.isoformat(timespec="seconds"),
        "expire_time": item.expire_time.isoformat(timespec="seconds"),
        "with_previous": item.with_previous,
    }


def group_record(group: ReviewGroup) -> dict[str, Any]:
    """Returns a group's fields for printing."""
    return {
        "etag": group.etag,
        "size": group.size,
        "queries": group.query_count,
        "spread": group.spread,
        "label": group.proposed_label or None,
        "probability": group.probability if group.proposed_label else None,
        "names": [asdict(name) for name in group.names],
        "compute_time": group.compute_time and group.compute_time.isoformat(timespec="seconds"),
        "items": list(group.items),
    }


def group_row(group: ReviewGroup) -> tuple[object, ...]:
    """Returns the cells of a group in a table."""
    record = group_record(group)
    names = ", ".join(name.name for name in group.names)
    figures = (record[field] for field in ("size", "queries", "spread"))
    return (group.etag[:SHORT], *figures, record["label"], record["probability"], names)
