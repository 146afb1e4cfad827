"""Adds whether a collection adapts to unlabelled examples of other domains."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Adds the column; no collection adapts to unlabelled domains yet."""
    column = sa.Column("adapt_to_unlabeled", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("collections", column)
