"""The first schema: collections, labels, examples, requests and the sequence of changes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Creates every table of version 0.1."""
    op.create_table(
        "changes",
        sa.Column("revision", _SEQUENCE, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("collection_id", sa.Text, nullable=False),
        sa.Column("subject", sa.JSON, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "collections",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("backbone", sa.Text, nullable=False),
        sa.Column("embedding_space", sa.Text, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("match_threshold", sa.Float),
        sa.Column("match_margin", sa.Float),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "labels",
        _collection_id(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("prompts", sa.JSON, nullable=False),
        sa.Column("prompt_vector", sa.LargeBinary),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.Column("update_time", sa.BigInteger, nullable=False),
    )
    _create_examples()
    op.create_table(
        "requests",
        _collection_id(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
    )


def _collection_id() -> "sa.Column[str]":
    return sa.Column("collection_id", sa.Text, sa.ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)


def _create_examples() -> None:
    op.create_table(
        "examples",
        sa.Column("sequence", _SEQUENCE, primary_key=True),
        sa.Column("collection_id", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("label_id", sa.Text, nullable=False),
        sa.Column("content_digest", sa.Text, nullable=False),
        sa.Column("modality", sa.Integer, nullable=False),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.Column("create_time", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id", "label_id"], ["labels.collection_id", "labels.id"], ondelete="CASCADE"
        ),
        sa.UniqueConstraint("collection_id", "id"),
        sa.UniqueConstraint("collection_id", "content_digest", "label_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("examples_by_label", "examples", ["collection_id", "label_id", "sequence"])
