"""Adds the parent, the policy, the parts and the aliases of a label."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Adds the columns; no label has any of them yet."""
    op.add_column("labels", sa.Column("parent_id", sa.Text, nullable=False, server_default=sa.text("''")))
    for name in ("match_threshold", "false_reject_rate"):
        op.add_column("labels", sa.Column(name, sa.Float))
    op.add_column("labels", sa.Column("min_examples", sa.Integer, nullable=False, server_default=sa.text("0")))
    for name in ("parts", "not_parts", "aliases"):
        op.add_column("labels", sa.Column(name, sa.JSON, nullable=False, server_default=sa.text("'[]'")))
