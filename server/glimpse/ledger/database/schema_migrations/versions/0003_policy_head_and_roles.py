"""Adds rates and coverage to the policy, the label mode, the pinned head, and labels' roles."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Adds the columns; existing collections and labels behave as before."""
    for name in ("false_reject_rate", "false_accept_rate", "coverage"):
        op.add_column("collections", sa.Column(name, sa.Float))
    for table, name in (("collections", "label_mode"), ("collections", "pinned_head"), ("labels", "role")):
        op.add_column(table, sa.Column(name, sa.Integer, nullable=False, server_default=sa.text("0")))
