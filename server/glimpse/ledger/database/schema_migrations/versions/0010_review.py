"""Adds the review policy of a collection, and the queue of queries that people review."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Adds the columns and tables; no collection keeps queries yet."""
    for name in ("review_unknown", "review_ambiguous", "review_inputs", "content_readable"):
        op.add_column("collections", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()))
    zero = sa.text("0")
    op.add_column("collections", sa.Column("review_match_rate", sa.Float, nullable=False, server_default=zero))
    for name in ("review_max_items", "review_keep_days"):
        op.add_column("collections", sa.Column(name, sa.Integer, nullable=False, server_default=zero))
    _create_resolutions()
    _create_items()
    op.create_table(
        "review_contents",
        _collection(),
        sa.Column("item_id", sa.Text, primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    _create_samples()
    op.create_table(
        "review_drops",
        _collection(),
        sa.Column("time", sa.BigInteger, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )


def _collection() -> "sa.Column[str]":
    of = sa.ForeignKey("collections.id", ondelete="CASCADE")
    return sa.Column("collection_id", sa.Text, of, primary_key=True)


def _create_resolutions() -> None:
    op.create_table(
        "review_resolutions",
        _collection(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("time", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("actor", "kind", "label_id")),
        sa.Column("created_label", sa.Boolean, nullable=False),
        sa.Column("item_count", sa.Integer, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("examples", sa.JSON, nullable=False),
        sa.Column("undo_time", sa.BigInteger),
        sa.Column("request_id", sa.Text),
        sa.Column("request_digest", sa.Text),
        sa.Column("answer", sa.LargeBinary),
        sa.UniqueConstraint("collection_id", "request_id"),
    )


def _create_items() -> None:
    times = ("create_time", "last_time", "expire_time", "delete_time")
    op.create_table(
        "review_items",
        sa.Column("sequence", _SEQUENCE, primary_key=True),
        sa.Column("collection_id", sa.Text, sa.ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("decision", "modality")),
        sa.Column("label_id", sa.Text, nullable=False),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("probability", "uncertainty")),
        sa.Column("content_digest", sa.Text, nullable=False),
        sa.Column("content_bytes", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("embedding_space", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("caller", "domain")),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in times),
        sa.Column("resolution_id", sa.Text),
        sa.Column("example", sa.BigInteger),
        sa.ForeignKeyConstraint(
            ["collection_id", "resolution_id"],
            ["review_resolutions.collection_id", "review_resolutions.id"],
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("collection_id", "id"),
        sqlite_autoincrement=True,
    )
    counted = ["collection_id", "caller", "decision", "resolution_id", "content_bytes"]
    op.create_index("review_items_by_resolution", "review_items", ["collection_id", "resolution_id", "sequence"])
    op.create_index("review_items_by_caller", "review_items", counted)
    op.create_index("review_items_by_time", "review_items", ["delete_time"])


def _create_samples() -> None:
    op.create_table(
        "review_samples",
        _collection(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("item_id", sa.Text, nullable=False),
        sa.Column("decision", sa.Integer, nullable=False),
        sa.Column("label_id", sa.Text, nullable=False),
        *(sa.Column(name, sa.Float, nullable=False) for name in ("probability", "weight", "key")),
        sa.Column("embedding_space", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("create_time", "expire_time")),
        *(sa.Column(name, sa.Text) for name in ("resolution_id", "resolved_label_id")),
    )
    op.create_index("review_samples_by_key", "review_samples", ["collection_id", "key"])
    op.create_index("review_samples_by_item", "review_samples", ["collection_id", "item_id"])
    op.create_index("review_samples_by_time", "review_samples", ["expire_time"])
