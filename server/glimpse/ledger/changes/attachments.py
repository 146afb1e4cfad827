"""Indexes attached to collections, and their deleted rows. Each function works in its caller's transaction."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from glimpse.ledger.database import schema
from glimpse.ledger.records import AttachmentRecord


def find(connection: Connection, collection_id: str) -> AttachmentRecord | None:
    """Returns a collection's index, or None."""
    query = select(schema.attachments).where(schema.attachments.c.collection_id == collection_id)
    row = connection.execute(query).first()
    return AttachmentRecord(row.index_id, row.digest, row.time, row.made) if row else None


def put(connection: Connection, collection_id: str, record: AttachmentRecord) -> None:
    """Attaches an index, with no deleted rows, to a collection that has none."""
    connection.execute(insert(schema.attachments).values(collection_id=collection_id, **asdict(record)))


def remove(connection: Connection, collection_id: str) -> bool:
    """Detaches a collection's index. Returns whether there was one."""
    query = delete(schema.attachments).where(schema.attachments.c.collection_id == collection_id)
    return bool(connection.execute(query).rowcount)


def mark_deleted(connection: Connection, collection_id: str, rows: Sequence[int]) -> None:
    """Marks rows as deleted. None of them may be marked already."""
    if rows:
        connection.execute(insert(schema.tombstones), [{"collection_id": collection_id, "row": row} for row in rows])


def spans(rows: Sequence[int]) -> list[list[int]]:
    """Returns rows as ascending runs [first, last]."""
    runs: list[list[int]] = []
    for row in sorted(rows):
        if runs and runs[-1][1] == row - 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    return runs


def deleted_rows(connection: Connection, collection_id: str) -> list[int]:
    """Returns the deleted rows, ascending."""
    query = select(schema.tombstones.c.row).where(schema.tombstones.c.collection_id == collection_id)
    return list(connection.scalars(query.order_by(schema.tombstones.c.row)))
