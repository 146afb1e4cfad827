"""Stored original inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, not_, select

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches


@dataclass(frozen=True, slots=True)
class Original:
    """The stored input of an example.

    Attributes:
        modality: number of the contract's enum.
        content_digest: of its bytes.
        size: its bytes; 0 if it is not stored.
    """

    modality: int
    content_digest: str
    size: int


def find(connection: Connection, collection_id: str, example_ids: Sequence[str]) -> dict[str, Original]:
    """Returns the stored inputs of examples by id, without their bytes. Examples that do not exist are missing."""
    examples, inputs = schema.examples.c, schema.inputs.c
    same = and_(inputs.collection_id == examples.collection_id, inputs.content_digest == examples.content_digest)
    size = func.coalesce(func.length(inputs.content), 0)
    query = select(examples.id, examples.modality, examples.content_digest, size)
    query = query.select_from(schema.examples.outerjoin(schema.inputs, same))
    found: dict[str, Original] = {}
    for some in batches(example_ids):
        rows = connection.execute(query.where(examples.collection_id == collection_id, examples.id.in_(some)))
        found |= {example_id: Original(*values) for example_id, *values in rows}
    return found


def read(connection: Connection, collection_id: str, digests: Sequence[str]) -> dict[str, bytes]:
    """Returns the bytes of stored inputs by content digest."""
    inputs, contents = schema.inputs.c, dict[str, bytes]()
    for some in batches(digests):
        query = select(inputs.content_digest, inputs.content).where(inputs.collection_id == collection_id)
        rows = connection.execute(query.where(inputs.content_digest.in_(some)))
        contents |= {row.content_digest: bytes(row.content) for row in rows}
    return contents


def delete_unused(connection: Connection, collection_id: str, deleted: ColumnElement[bool]) -> None:
    """Deletes the inputs of examples that are about to be deleted, unless other examples have the same content.

    Works in its caller's transaction.

    Args:
        deleted: the condition that selects the examples to be deleted.
    """
    examples, inputs = schema.examples.c, schema.inputs.c
    digests = select(examples.content_digest).where(examples.collection_id == collection_id, deleted)
    still_used = and_(
        examples.collection_id == collection_id, examples.content_digest == inputs.content_digest, not_(deleted)
    )
    query = delete(schema.inputs).where(inputs.collection_id == collection_id, inputs.content_digest.in_(digests))
    connection.execute(query.where(~exists().where(still_used)))
