"""Reads kept inputs, which are stored in parts."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches

_items, _contents = schema.review_items.c, schema.review_contents.c


def read_contents(
    connection: Connection, collection_id: str, item_ids: Sequence[str], max_bytes: int
) -> dict[str, bytes]:
    """Returns kept inputs by id, in the order of the ids; see `ReviewQueue.contents`."""
    sizes: dict[str, int] = {}
    for some in batches(item_ids):
        query = select(_items.id, _items.content_bytes).where(_items.collection_id == collection_id)
        rows = connection.execute(query.where(_items.id.in_(some), _items.content_bytes > 0))
        sizes |= {row.id: row.content_bytes for row in rows}
    chosen: list[str] = []
    for item_id in item_ids:
        if sizes.get(item_id, max_bytes + 1) <= max_bytes:
            chosen.append(item_id)
            max_bytes -= sizes[item_id]
    parts: dict[str, list[bytes]] = {item_id: [] for item_id in chosen}
    for some in batches(chosen):
        query = select(_contents.item_id, _contents.content).where(_contents.collection_id == collection_id)
        for row in connection.execute(query.where(_contents.item_id.in_(some)).order_by(_contents.part)):
            parts[row.item_id].append(row.content)
    return {item_id: b"".join(content) for item_id, content in parts.items()}
