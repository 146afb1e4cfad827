"""Deletes kept queries: those that are due, those of a collection, and inputs that were never completed.

Every transaction is bounded in rows and bytes, because it blocks other writers of SQLite.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, null, select, tuple_, update

from glimpse.ledger.database import schema
from glimpse.ledger.review.records import ReviewDeleted
from glimpse.ledger.review.rows import count_drops, delete_items

_Opens = Callable[[], AbstractContextManager[Connection]]
#: Names of the tables with content.
CONTENT_TABLES: Final = ("review_items", "review_contents", "review_samples")
#: A server writes the parts of an input one after the other, which may take some time while others enroll.
PART_AGE: Final = 3_600_000_000
# The most rows, and about the most bytes, that one transaction deletes.
_ROWS: Final = 500
_BYTES: Final = 16 << 20
_HOUR: Final = 3_600_000_000
# A stored response is kept for a week, counts for a year.
_REMEMBERED, _COUNTED = 7 * 24 * _HOUR, 365 * 24 * _HOUR
_items, _contents = schema.review_items.c, schema.review_contents.c
_samples, _resolutions, _drops = schema.review_samples.c, schema.review_resolutions.c, schema.review_drops.c


def delete_due(writing: _Opens, now: int) -> ReviewDeleted:
    """Deletes what is due; see `ReviewQueue.delete_expired`."""
    items = repeat(writing, lambda connection: _delete_items(connection, _items.delete_time <= now, now))
    samples = repeat(writing, lambda connection: _delete_samples(connection, _samples.expire_time <= now))
    repeat(writing, lambda connection: delete_lost_parts(connection, now - PART_AGE))
    with writing() as connection:
        forgotten = _resolutions.time <= now - _REMEMBERED
        nothing = {"request_id": null(), "request_digest": null(), "answer": null()}
        connection.execute(
            update(schema.review_resolutions).where(forgotten, _resolutions.request_id.is_not(None)).values(nothing)
        )
        connection.execute(delete(schema.review_resolutions).where(_resolutions.time <= now - _COUNTED))
        connection.execute(delete(schema.review_drops).where(_drops.time <= now - _COUNTED))
    return ReviewDeleted(items, samples)


def delete_all(writing: _Opens, collection_id: str) -> ReviewDeleted:
    """Deletes the queue of a collection; see `ReviewQueue.purge`."""
    with writing() as connection:
        # Batches that are under way hold a weaker lock on the collection; wait for them.
        collection = select(schema.collections.c.id).where(schema.collections.c.id == collection_id)
        connection.execute(collection.with_for_update())
    with writing() as connection:
        last = connection.scalar(select(func.max(_items.sequence))) or 0
    own = and_(_items.collection_id == collection_id, _items.sequence <= last)
    items = repeat(writing, lambda connection: _delete_items(connection, own))
    samples = repeat(writing, lambda connection: _delete_samples(connection, _samples.collection_id == collection_id))
    repeat(writing, lambda connection: delete_lost_parts(connection, None, collection_id))
    return ReviewDeleted(items, samples)


def delete_queue(connection: Connection, collection_id: str) -> bool:
    """Deletes the queue of a collection that is about to be deleted. Returns whether there was any.

    Works in its caller's transaction. `ReviewQueue.purge` before it keeps that transaction short.
    """
    # Batches lock the collection before its items; the other order would be a deadlock.
    collection = select(schema.collections.c.id).where(schema.collections.c.id == collection_id)
    connection.execute(collection.with_for_update())
    tables = (schema.review_items, schema.review_contents, schema.review_samples)
    deleted = [connection.execute(delete(table).where(table.c.collection_id == collection_id)) for table in tables]
    return any(result.rowcount for result in deleted)


def delete_lost_parts(connection: Connection, before: int | None, collection_id: str | None = None) -> int:
    """Deletes some parts of inputs whose items were never written: their server stopped. Returns how many.

    Args:
        connection: a transaction.
        before: only parts that were written before this time; None: all.
        collection_id: only those of this collection; None: all.
    """
    item = and_(_items.collection_id == _contents.collection_id, _items.id == _contents.item_id)
    query = select(_contents.collection_id, _contents.item_id, _contents.part).where(~exists().where(item))
    if before is not None:
        query = query.where(_contents.time < before)
    if collection_id is not None:
        query = query.where(_contents.collection_id == collection_id)
    parts = [tuple(row) for row in connection.execute(query.limit(_BYTES >> 20))]
    if parts:
        key = tuple_(_contents.collection_id, _contents.item_id, _contents.part)
        connection.execute(delete(schema.review_contents).where(key.in_(parts)))
    return len(parts)


def repeat(writing: _Opens, step: Callable[[Connection], int]) -> int:
    """Runs a step in transactions of its own until it deletes nothing; returns the number of deleted rows."""
    total = 0
    while True:
        with writing() as connection:
            number = step(connection)
        if not number:
            return total
        total += number


def _delete_items(connection: Connection, which: ColumnElement[bool], dropped_at: int | None = None) -> int:
    """Deletes some items; with `dropped_at`, those that waited are counted as dropped at this time."""
    columns = (_items.collection_id, _items.id, _items.resolution_id, _items.content_bytes)
    query = select(*columns).where(which).order_by(_items.sequence).limit(_ROWS)
    # An item that somebody is resolving right now stays for the next time; a purge waits for it.
    rows = _bounded(connection.execute(query.with_for_update(skip_locked=dropped_at is not None)))
    of_collections: dict[str, list[str]] = {}
    for row in rows:
        of_collections.setdefault(row.collection_id, []).append(row.id)
    for collection_id, ids in of_collections.items():
        delete_items(connection, collection_id, ids)
    if dropped_at is not None:
        for collection_id, count in Counter(row.collection_id for row in rows if row.resolution_id is None).items():
            count_drops(connection, collection_id, count, dropped_at)
    return len(rows)


def _bounded(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """Returns the first rows whose inputs have about the most bytes together, one at least."""
    some: list[Row[Any]] = []
    total = 0
    for row in rows:
        total += row.content_bytes
        if some and total > _BYTES:
            break
        some.append(row)
    return some


def _delete_samples(connection: Connection, which: ColumnElement[bool]) -> int:
    query = select(_samples.collection_id, _samples.id).where(which).order_by(_samples.id).limit(_ROWS)
    rows = [tuple(row) for row in connection.execute(query.with_for_update())]
    if rows:
        key = tuple_(_samples.collection_id, _samples.id)
        connection.execute(delete(schema.review_samples).where(key.in_(rows)))
    return len(rows)
