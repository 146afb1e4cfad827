"""Rows of the review queue that a restore leaves out: those that have expired since the copy was made."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, exists

from glimpse.ledger.database import schema

_items, _contents = schema.review_items.c, schema.review_contents.c


def not_expired(table: Table, now: int) -> list[ColumnElement[bool]]:
    """Returns the conditions of the rows to copy; none for tables that are copied whole."""
    if table is schema.review_items:
        return [_items.delete_time > now]
    if table is schema.review_contents:
        item = and_(_items.collection_id == _contents.collection_id, _items.id == _contents.item_id)
        return [exists().where(item, _items.delete_time > now)]
    if table is schema.review_samples:
        return [schema.review_samples.c.expire_time > now]
    return []


class ExpiredRows:
    """Leaves out rows that have expired, where no database can. Give it the items before their inputs."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._items: set[tuple[str, str]] = set()

    def drop(self, table: Table, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the rows to copy."""
        if table is schema.review_items:
            kept = [row for row in rows if row["delete_time"] > self._now]
            self._items.update((row["collection_id"], row["id"]) for row in kept)
            return kept
        if table is schema.review_contents:
            return [row for row in rows if (row["collection_id"], row["item_id"]) in self._items]
        if table is schema.review_samples:
            return [row for row in rows if row["expire_time"] > self._now]
        return list(rows)
