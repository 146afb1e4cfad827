"""Vectors of waiting items in another embedding space than the collection's, and what replaces them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, bindparam, update

from glimpse.ledger.database import schema
from glimpse.ledger.review.rows import lock_items, select_items, waiting

_items = schema.review_items.c


def select_other_spaces(collection_id: str, embedding_space: str, now: int) -> Select[Any]:
    """Selects waiting items with a kept input whose vectors are not of a space, without the vectors."""
    query = select_items(collection_id, vectors=False).where(waiting(now))
    return query.where(_items.embedding_space != embedding_space, _items.content_bytes > 0)


def replace_vectors(
    connection: Connection, collection_id: str, embedding_space: str, vectors: Mapping[str, bytes]
) -> int:
    """Stores vectors of another space by item id. Returns how many of these items still wait."""
    locked = lock_items(connection, collection_id, vectors)
    rows = [{"which": item_id, "new": vectors[item_id]} for item_id, row in locked.items() if row.resolution_id is None]
    if rows:
        which = (_items.collection_id == collection_id, _items.id == bindparam("which"))
        values = {"vector": bindparam("new"), "embedding_space": embedding_space}
        connection.execute(update(schema.review_items).where(*which).values(values), rows)
    return len(rows)
