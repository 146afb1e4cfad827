"""Rows of the review queue: reads of several, locks, and conversions to records."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, literal, select, text, update

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.review.records import ReviewItem, ReviewSample

_items, _contents, _samples = schema.review_items.c, schema.review_contents.c, schema.review_samples.c
_examples = schema.examples.c
_HOUR: Final = 3_600_000_000


def select_items(collection_id: str, *, vectors: bool) -> Select[Any]:
    """Selects the items of a collection with the ids of their examples; without vectors these are empty."""
    columns = [column for column in _items if column.name in ReviewItem.__slots__ and column.name != "vector"]
    vector = _items.vector if vectors else literal(b"").label("vector")
    example = and_(_examples.sequence == _items.example, _examples.collection_id == _items.collection_id)
    return (
        select(*columns, vector, func.coalesce(_examples.id, "").label("example_id"))
        .select_from(schema.review_items.outerjoin(schema.examples, example))
        .where(_items.collection_id == collection_id)
    )


def waiting(now: int) -> ColumnElement[bool]:
    """The condition of items that wait and have not expired."""
    return and_(_items.resolution_id.is_(None), _items.expire_time > now)


def item_record(row: Row[Any]) -> ReviewItem:
    """Builds an item from its row."""
    return ReviewItem(**row._mapping)


def item_row(collection_id: str, item: ReviewItem) -> dict[str, Any]:
    """Returns the row of a new item, which waits."""
    given = ("sequence", "resolution_id", "example_id")
    values = {name: getattr(item, name) for name in ReviewItem.__slots__ if name not in given}
    return {**values, "collection_id": collection_id, "delete_time": item.expire_time}


def sample_row(collection_id: str, sample: ReviewSample) -> dict[str, Any]:
    """Returns a sample's row."""
    return {name: getattr(sample, name) for name in ReviewSample.__slots__} | {"collection_id": collection_id}


def sample_record(row: Row[Any]) -> ReviewSample:
    """Builds a sample from its row."""
    return ReviewSample(**{name: row._mapping[name] for name in ReviewSample.__slots__})


def lock_items(connection: Connection, collection_id: str, item_ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Locks items by id until the transaction ends; returns their states by id.

    Every transaction locks them in the order of their numbers, so that two never wait for each other.
    """
    columns = (_items.sequence, _items.id, _items.resolution_id, _items.expire_time, _items.content_bytes)
    sequences: list[int] = []
    for some in batches(item_ids):
        query = select(_items.sequence).where(_items.collection_id == collection_id, _items.id.in_(some))
        sequences += connection.scalars(query)
    locked: dict[str, Row[Any]] = {}
    for some_sequences in batches(sorted(sequences)):
        which = _items.sequence.in_(some_sequences)
        query = select(*columns, _items.embedding_space).where(which).order_by(_items.sequence).with_for_update()
        locked |= {row.id: row for row in connection.execute(query)}
    return locked


def answer_samples(
    connection: Connection, which: ColumnElement[bool], resolution_id: str | None, label_id: str | None
) -> None:
    """Stores what samples were resolved as, or that they are not. Locks them in the order in which a purge does."""
    locked = connection.execute(select(_samples.id).where(which).order_by(_samples.id).with_for_update())
    if locked.all():
        answer = {"resolution_id": resolution_id, "resolved_label_id": label_id}
        connection.execute(update(schema.review_samples).where(which).values(answer))


def delete_items(connection: Connection, collection_id: str, item_ids: Collection[str]) -> int:
    """Deletes items, which are locked, with their inputs. Returns how many there were."""
    count = 0
    for some in batches(item_ids):
        parts = delete(schema.review_contents).where(
            _contents.collection_id == collection_id, _contents.item_id.in_(some)
        )
        connection.execute(parts)
        items = delete(schema.review_items).where(_items.collection_id == collection_id, _items.id.in_(some))
        count += connection.execute(items).rowcount
    return count


def count_drops(connection: Connection, collection_id: str, count: int, now: int) -> None:
    """Adds to the number of items that were dropped in the hour of a time."""
    statement = text(
        "INSERT INTO review_drops (collection_id, time, count) VALUES (:collection, :hour, :count) "
        "ON CONFLICT (collection_id, time) DO UPDATE SET count = review_drops.count + excluded.count"
    )
    if count:
        connection.execute(statement, {"collection": collection_id, "hour": hour_of(now), "count": count})


def hour_of(time: int) -> int:
    """Returns the beginning of a time's hour."""
    return time - time % _HOUR
