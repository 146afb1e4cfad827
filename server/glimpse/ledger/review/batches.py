"""Adds batches of queries to the review queue, in a transaction that never waits for the ledger's head."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, case, delete, func, insert, select, update

from glimpse.ledger.database import schema
from glimpse.ledger.review.records import MAX_SAMPLES, ReviewAdded, ReviewBatch, ReviewItem, ReviewRepeat
from glimpse.ledger.review.rows import count_drops, delete_items, item_row, lock_items, sample_row

_collections, _items = schema.collections.c, schema.review_items.c
_contents, _samples = schema.review_contents.c, schema.review_samples.c


def add_batch(connection: Connection, batch: ReviewBatch, now: int) -> ReviewAdded:
    """Adds a batch; see `ReviewQueue.add`. Add those of one transaction in the order of their collections."""
    if not _keeps_queries(connection, batch):
        return ReviewAdded(kept=False)
    named = [*(repeat.item_id for repeat in batch.repeats), *batch.removed]
    locked = lock_items(connection, batch.collection_id, named)
    waiting = {item_id for item_id, row in locked.items() if row.resolution_id is None and row.expire_time > now}
    removed = [item_id for item_id in batch.removed if item_id in waiting]
    delete_items(connection, batch.collection_id, removed)
    count_drops(connection, batch.collection_id, len(removed), now)
    waiting.difference_update(removed)
    _count(connection, batch.collection_id, [repeat for repeat in batch.repeats if repeat.item_id in waiting])
    if batch.parts:
        place = {"collection_id": batch.collection_id, "time": now}
        rows = [{**place, "item_id": one.item_id, "part": one.part, "content": one.content} for one in batch.parts]
        connection.execute(insert(schema.review_contents), rows)
    items = _complete(connection, batch.collection_id, batch.items)
    if items:
        connection.execute(insert(schema.review_items), [item_row(batch.collection_id, item) for item in items])
    if batch.samples:
        rows = [sample_row(batch.collection_id, sample) for sample in batch.samples]
        connection.execute(insert(schema.review_samples), rows)
        _trim_samples(connection, batch.collection_id)
    missing = [repeat.item_id for repeat in batch.repeats if repeat.item_id not in waiting]
    return ReviewAdded([item.id for item in items], missing)


def _keeps_queries(connection: Connection, batch: ReviewBatch) -> bool:
    """Returns whether a batch's collection exists, until the transaction ends, and its review policy keeps queries."""
    policy = (_collections.review_unknown, _collections.review_ambiguous, _collections.review_match_rate)
    query = select(*policy).where(_collections.id == batch.collection_id)
    if batch.create_time is not None:
        query = query.where(_collections.create_time == batch.create_time)
    # The weakest lock: enrolments write the collection's revision, and a batch must not wait for them.
    row = connection.execute(query.with_for_update(read=True, key_share=True)).first()
    return row is not None and bool(row.review_unknown or row.review_ambiguous or row.review_match_rate)


def _count(connection: Connection, collection_id: str, repeats: Sequence[ReviewRepeat]) -> None:
    """Adds the queries of repeats to their items, which are locked."""
    if not repeats:
        return
    which = (_items.collection_id == collection_id, _items.id == bindparam("which"))
    newest = case((_items.last_time < bindparam("time"), bindparam("time")), else_=_items.last_time)
    statement = update(schema.review_items).where(*which)
    connection.execute(
        statement.values(count=_items["count"] + bindparam("more"), last_time=newest),
        [{"which": repeat.item_id, "more": repeat.count, "time": repeat.last_time} for repeat in repeats],
    )


def _complete(connection: Connection, collection_id: str, items: Sequence[ReviewItem]) -> list[ReviewItem]:
    """Returns the items that have no input, or all of its parts."""
    whole = [item.id for item in items if item.content_bytes]
    query = select(_contents.item_id, func.sum(func.length(_contents.content)).label("size"))
    query = query.where(_contents.collection_id == collection_id, _contents.item_id.in_(whole))
    rows = connection.execute(query.group_by(_contents.item_id)) if whole else ()
    stored = {row.item_id: row.size for row in rows}
    return [item for item in items if stored.get(item.id, 0) == item.content_bytes]


def _trim_samples(connection: Connection, collection_id: str) -> None:
    """Deletes samples beyond the most, those with the greatest keys first."""
    own = _samples.collection_id == collection_id
    number = connection.scalar(select(func.count()).select_from(schema.review_samples).where(own)) or 0
    if number > MAX_SAMPLES:
        # Rows that another server trims at the same time are left to it.
        query = select(_samples.id).where(own).order_by(_samples.key.desc()).limit(number - MAX_SAMPLES)
        greatest = list(connection.scalars(query.with_for_update(skip_locked=True)))
        connection.execute(delete(schema.review_samples).where(own, _samples.id.in_(greatest)))
