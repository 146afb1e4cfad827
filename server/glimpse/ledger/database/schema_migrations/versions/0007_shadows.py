"""Adds stored original inputs and the tables of re-embeddings."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Creates the tables; no collection stores inputs yet, and none has a re-embedding."""
    op.add_column("collections", sa.Column("keep_inputs", sa.Boolean, nullable=False, server_default=sa.false()))
    for table in ("collections", "examples"):
        op.add_column(table, sa.Column("side", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.create_table(
        "inputs",
        _collection(),
        sa.Column("content_digest", sa.Text, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "shadows",
        _collection(),
        sa.Column("backbone", sa.Text, nullable=False),
        sa.Column("embedding_space", sa.Text, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Float) for name in ("match_threshold", "match_margin", "min_space_cosine")),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )
    example = sa.ForeignKey("examples.sequence", ondelete="CASCADE")
    op.create_table(
        "shadow_vectors",
        sa.Column("sequence", sa.BigInteger().with_variant(sa.Integer, "sqlite"), example, primary_key=True),
        sa.Column("collection_id", sa.Text, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary),
        sa.Column("embedding_space", sa.Text),
    )
    op.create_index("shadow_vectors_by_problem", "shadow_vectors", ["collection_id", "problem"])
    op.create_table(
        "shadow_prompts",
        sa.Column("collection_id", sa.Text, primary_key=True),
        sa.Column("label_id", sa.Text, primary_key=True),
        sa.Column("turn", sa.Integer, primary_key=True),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("prompt_vector", sa.LargeBinary),
        sa.ForeignKeyConstraint(
            ["collection_id", "label_id"], ["labels.collection_id", "labels.id"], ondelete="CASCADE"
        ),
    )


def _collection() -> "sa.Column[str]":
    of = sa.ForeignKey("collections.id", ondelete="CASCADE")
    return sa.Column("collection_id", sa.Text, of, primary_key=True)
