"""Adds indexes attached to collections, and their deleted rows."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Creates the tables; no collection has an index yet."""
    op.create_table(
        "attachments",
        sa.Column("collection_id", sa.Text, sa.ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("index_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("made", sa.Boolean, nullable=False),
    )
    attachment = sa.ForeignKey("attachments.collection_id", ondelete="CASCADE")
    op.create_table(
        "tombstones",
        sa.Column("collection_id", sa.Text, attachment, primary_key=True),
        sa.Column("row", sa.BigInteger, primary_key=True),
    )
