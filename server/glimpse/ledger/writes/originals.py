"""Stored original inputs."""

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, not_, select

from glimpse.ledger.database import schema


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
