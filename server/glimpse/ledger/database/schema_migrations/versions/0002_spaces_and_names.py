"""Adds accepted embedding spaces, labels' names as prompts, and the embedding space of a vector."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns; existing collections behave as before."""
    op.add_column("collections", sa.Column("min_space_cosine", sa.Float))
    op.add_column("collections", sa.Column("names_as_prompts", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("examples", sa.Column("embedding_space", sa.Text))
