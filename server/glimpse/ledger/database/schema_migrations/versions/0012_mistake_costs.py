"""Adds the costs of mistakes to collections."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Adds the column; no collection has costs yet."""
    op.add_column("collections", sa.Column("mistake_costs", sa.JSON, nullable=False, server_default=sa.text("'[]'")))
