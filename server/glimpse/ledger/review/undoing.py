"""Takes a resolution back in one transaction, if nobody has changed what it enrolled."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, and_, exists, null, select, update

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.database.row_mapping import example_record
from glimpse.ledger.errors import NotFound, ResolutionChanged
from glimpse.ledger.review.resolution import ResolutionRows, Undone
from glimpse.ledger.review.resolving import updatable_digest
from glimpse.ledger.review.rows import answer_samples, lock_items

if TYPE_CHECKING:
    from glimpse.ledger.writes.writer import Writer

_items, _samples, _resolutions = schema.review_items.c, schema.review_samples.c, schema.review_resolutions.c
_labels, _examples = schema.labels.c, schema.examples.c


def undo(writer: "Writer", collection_id: str, resolution_id: str, indexed: ResolutionRows) -> Undone:
    """Takes a resolution back; see `Writer.undo_review`."""
    connection = writer.connection
    this = (_resolutions.collection_id == collection_id, _resolutions.id == resolution_id)
    row = connection.execute(select(schema.review_resolutions).where(*this).with_for_update()).first()
    if row is None:
        raise NotFound(f"there is no resolution {resolution_id!r}")
    columns = schema.collections.c
    revision = int(connection.execute(select(columns.revision).where(columns.id == collection_id)).scalar_one())
    if row.undo_time is not None:
        return Undone((), (), "", revision)
    _check_unchanged(connection, row, indexed)
    # Lock them before the examples' deletion changes anything, in the order in which every transaction locks them.
    query = select(_items.id).where(_items.collection_id == collection_id, _items.resolution_id == resolution_id)
    items = lock_items(connection, collection_id, connection.scalars(query).all())
    example_ids = list(row.examples)
    if example_ids:
        moved = {example.id for example in indexed.examples.values()}
        enrolled = [example_id for example_id in example_ids if example_id not in moved]
        revision = writer.delete_examples(collection_id, enrolled, list(indexed.examples))
    removed = row.label_id if row.created_label and _is_empty(connection, row, indexed) else ""
    if removed:
        revision = writer.delete_label(collection_id, removed)
    back = [item_id for item_id, item in items.items() if item.expire_time > writer.now]
    _return_items(connection, collection_id, resolution_id, back)
    connection.execute(update(schema.review_resolutions).where(*this).values(undo_time=writer.now))
    return Undone(back, example_ids, removed, revision)


def _check_unchanged(connection: Connection, resolution: Row[Any], indexed: ResolutionRows) -> None:
    """Raises ResolutionChanged if an example or the created label is not as the resolution made it."""
    current = {example.id: updatable_digest(example) for example in indexed.examples.values()}
    for some in batches(resolution.examples):
        query = select(schema.examples).where(_examples.collection_id == resolution.collection_id)
        for row in connection.execute(query.where(_examples.id.in_(some))):
            current[row.id] = updatable_digest(example_record(row))
    changed = [name for name, digest in resolution.examples.items() if current.get(name) != digest]
    label_id = ""
    if resolution.created_label:
        this = (_labels.collection_id == resolution.collection_id, _labels.id == resolution.label_id)
        label = connection.execute(select(_labels.create_time, _labels.update_time).where(*this)).first()
        if label is None or not label.create_time == label.update_time == resolution.time:
            label_id = resolution.label_id
    if changed or label_id:
        raise ResolutionChanged(changed, label_id)


def _is_empty(connection: Connection, resolution: Row[Any], indexed: ResolutionRows) -> bool:
    """Returns whether a label that the resolution created has no examples, nor other rows of the index."""
    of_label = exists().where(
        _examples.collection_id == resolution.collection_id, _examples.label_id == resolution.label_id
    )
    return indexed.label_count == len(indexed.examples) and not connection.scalar(select(of_label))


def _return_items(connection: Connection, collection_id: str, resolution_id: str, item_ids: list[str]) -> None:
    """Puts items back into the queue, until their own expiry, and forgets what their samples were resolved as."""
    for some in batches(item_ids):
        which = (_items.collection_id == collection_id, _items.id.in_(some))
        values = {"resolution_id": null(), "example": null(), "delete_time": _items.expire_time}
        connection.execute(update(schema.review_items).where(*which).values(values))
    own = and_(_samples.collection_id == collection_id, _samples.resolution_id == resolution_id)
    answer_samples(connection, own, None, None)
