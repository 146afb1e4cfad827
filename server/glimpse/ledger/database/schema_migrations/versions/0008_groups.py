"""Adds the group of an example."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Adds the column; no example is in a group yet."""
    op.add_column("examples", sa.Column("group", sa.Text, nullable=False, server_default=sa.text("''")))
