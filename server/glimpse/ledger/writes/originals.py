"""The originals that are kept."""

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, not_, select

from glimpse.ledger.database import schema


def delete_unused(connection: Connection, collection_id: str, going: ColumnElement[bool]) -> None:
    """Forgets the originals of examples that are about to go, but for those that others have too.

    In its caller's transaction.
    """
    there, kept = schema.examples.c, schema.inputs.c
    of_those = select(there.content_digest).where(there.collection_id == collection_id, going)
    stays = and_(there.collection_id == collection_id, there.content_digest == kept.content_digest, not_(going))
    query = delete(schema.inputs).where(kept.collection_id == collection_id, kept.content_digest.in_(of_those))
    connection.execute(query.where(~exists().where(stays)))
