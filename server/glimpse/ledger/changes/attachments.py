"""The rows of an index that stand in for examples: each function works in its caller's transaction."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from glimpse.ledger.database import schema
from glimpse.ledger.records import AttachmentRecord


def find(connection: Connection, collection_id: str) -> AttachmentRecord | None:
    """The index of a collection, or None."""
    query = select(schema.attachments).where(schema.attachments.c.collection_id == collection_id)
    row = connection.execute(query).first()
    return AttachmentRecord(row.index_id, row.digest, row.time, row.made) if row else None


def put(connection: Connection, collection_id: str, record: AttachmentRecord) -> None:
    """Makes an index that of a collection that has none, with none of its rows deleted."""
    connection.execute(insert(schema.attachments).values(collection_id=collection_id, **asdict(record)))


def remove(connection: Connection, collection_id: str) -> bool:
    """Takes a collection's index away; whether there was one."""
    query = delete(schema.attachments).where(schema.attachments.c.collection_id == collection_id)
    return bool(connection.execute(query).rowcount)


def mark_deleted(connection: Connection, collection_id: str, rows: Sequence[int]) -> None:
    """Deletes rows, none of which is deleted yet."""
    if rows:
        connection.execute(insert(schema.tombstones), [{"collection_id": collection_id, "row": row} for row in rows])


def spans(rows: Sequence[int]) -> list[list[int]]:
    """Rows as [first, last] of each that follow one another, ascending."""
    found: list[list[int]] = []
    for row in sorted(rows):
        if found and found[-1][1] == row - 1:
            found[-1][1] = row
        else:
            found.append([row, row])
    return found


def deleted_rows(connection: Connection, collection_id: str) -> list[int]:
    """The rows that were deleted, ascending."""
    query = select(schema.tombstones.c.row).where(schema.tombstones.c.collection_id == collection_id)
    return list(connection.scalars(query.order_by(schema.tombstones.c.row)))
