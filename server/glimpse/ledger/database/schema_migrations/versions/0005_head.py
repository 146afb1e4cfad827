"""Adds the ledger's head, the author of a change, and the hash chain of changes."""

import uuid
from typing import Any

import sqlalchemy as sa
from alembic import op

from glimpse.ledger.changes.hash_chain import FIRST, link

revision = "0005"
down_revision = "0004"

_READ_AHEAD = 10_000


def upgrade() -> None:
    """Adds the columns, computes the digests of existing changes, and creates the head."""
    for name in ("actor", "digest"):
        op.add_column("changes", sa.Column(name, sa.Text, nullable=False, server_default=sa.text("''")))
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("ledger_id", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    connection = op.get_bind()
    last, digest = _link(connection)
    sequence = connection.scalar(sa.text("SELECT max(sequence) FROM examples")) or 0
    if connection.dialect.name == "sqlite":  # its sequence includes deleted examples
        query = "SELECT seq FROM sqlite_sequence WHERE name = 'examples'"
        sequence = max(sequence, connection.scalar(sa.text(query)) or 0)
    row = {"id": 1, "ledger_id": uuid.uuid4().hex, "revision": last, "digest": digest, "sequence": sequence}
    op.bulk_insert(head, [row])


def _link(connection: sa.Connection) -> tuple[int, str]:
    """Computes the digest of every change; returns the last revision and digest."""
    names = ("revision", "kind", "collection_id", "time", "actor", "digest")
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
    changes = sa.table("changes", sa.column("subject", sa.JSON), *columns)
    query = sa.select(changes).order_by(changes.c.revision).limit(_READ_AHEAD)
    new = sa.update(changes).where(changes.c.revision == sa.bindparam("which")).values(digest=sa.bindparam("new"))
    last, digest = 0, FIRST
    while rows := connection.execute(query.where(changes.c.revision > last)).all():
        linked = []
        for row in rows:
            last = row.revision
            digest = link(digest, last, row.kind, row.collection_id, row.subject, row.time, row.actor)
            linked.append({"which": last, "new": digest})
        connection.execute(new, linked)
    return last, digest
