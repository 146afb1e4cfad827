"""Adds the decisions of collections by day."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Creates the table; nothing is counted yet."""
    collection = sa.ForeignKey("collections.id", ondelete="CASCADE")
    op.create_table(
        "decision_counts",
        sa.Column("collection_id", sa.Text, collection, primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True),
        *(
            sa.Column(f"{decision}_count", sa.BigInteger, nullable=False)
            for decision in ("match", "unknown", "ambiguous")
        ),
    )
