"""Figures of the review queue: what kept queries take, and what happened to them."""

from sqlalchemy import Connection, func, select

from glimpse.ledger.database import schema
from glimpse.ledger.review.records import ReviewActivity, ReviewUsage
from glimpse.ledger.review.rows import hour_of

_collections, _items = schema.collections.c, schema.review_items.c
_resolutions, _drops = schema.review_resolutions.c, schema.review_drops.c


def read_usage(connection: Connection) -> list[ReviewUsage]:
    """Returns what every caller's items take in every collection; see `ReviewQueue.usage`."""
    query = (
        select(
            _items.collection_id,
            _items.caller,
            func.count(),
            func.sum(_items.content_bytes + 4 * _collections.dimension),
        )
        .join_from(schema.review_items, schema.collections, _collections.id == _items.collection_id)
        .group_by(_items.collection_id, _items.caller)
    )
    rows = connection.execute(query)
    return [ReviewUsage(collection, caller, number, int(held)) for collection, caller, number, held in rows]


def read_activity(connection: Connection, collection_id: str, since: int) -> ReviewActivity:
    """Returns what happened since a time; see `ReviewQueue.activity`."""
    done = (_resolutions.collection_id == collection_id, _resolutions.undo_time.is_(None))
    resolved = select(func.sum(_resolutions.item_count)).where(*done, _resolutions.time >= since)
    of_hours = (_drops.collection_id == collection_id, _drops.time >= hour_of(since))
    dropped = select(func.sum(_drops["count"])).where(*of_hours)
    return ReviewActivity(int(connection.scalar(resolved) or 0), int(connection.scalar(dropped) or 0))
