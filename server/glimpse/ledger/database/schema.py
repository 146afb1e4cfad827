"""The tables. A change here needs a migration in schema_migrations/versions; a test compares the two."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

# Numbered by `head`, not by the database. SQLite needs INTEGER for a key that is its row id.
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")

# One row, which every writer locks. Revisions therefore have no gaps and become visible in order, in PostgreSQL too,
# where a sequence's numbers are taken before a commit and lost with it.
head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True),
    # Identifies this ledger, so that files made from another one are recognised.
    Column("ledger_id", Text, nullable=False),
    # Revision and digest of the last change, and the number of the last example ever.
    Column("revision", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)

# The append-only sequence of changes: one row per write; its number is the revision.
changes = Table(
    "changes",
    metadata,
    Column("revision", _SEQUENCE, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("collection_id", Text, nullable=False),
    Column("subject", JSON, nullable=False),
    Column("time", BigInteger, nullable=False),
    # The name of the API key of the writer; empty without authentication.
    Column("actor", Text, nullable=False, server_default=text("''")),
    # Covers this change and, through the previous digest, all before it: see changes/hash_chain.py.
    Column("digest", Text, nullable=False, server_default=text("''")),
    sqlite_autoincrement=True,
)

collections = Table(
    "collections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("backbone", Text, nullable=False),
    Column("embedding_space", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("match_threshold", Float),
    Column("match_margin", Float),
    Column("min_space_cosine", Float),
    Column("false_reject_rate", Float),
    Column("false_accept_rate", Float),
    Column("coverage", Float),
    Column("names_as_prompts", Boolean, nullable=False, server_default=false()),
    # Numbers of the contract's enums; 0 if unset.
    Column("label_mode", Integer, nullable=False, server_default=text("0")),
    Column("pinned_head", Integer, nullable=False, server_default=text("0")),
    Column("keep_inputs", Boolean, nullable=False, server_default=false()),
    # The review policy; all off, or 0 for the default.
    Column("review_unknown", Boolean, nullable=False, server_default=false()),
    Column("review_ambiguous", Boolean, nullable=False, server_default=false()),
    Column("review_match_rate", Float, nullable=False, server_default=text("0")),
    Column("review_inputs", Boolean, nullable=False, server_default=false()),
    Column("review_max_items", Integer, nullable=False, server_default=text("0")),
    Column("review_keep_days", Integer, nullable=False, server_default=text("0")),
    Column("content_readable", Boolean, nullable=False, server_default=false()),
    Column("adapt_to_unlabeled", Boolean, nullable=False, server_default=false()),
    # Lists of a true label, an answered label and a cost.
    Column("mistake_costs", JSON, nullable=False, server_default=text("'[]'")),
    # Which of two backbones answers: see reembedding/reads.py.
    Column("side", Integer, nullable=False, server_default=text("0")),
    Column("revision", BigInteger, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
)

labels = Table(
    "labels",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("prompts", JSON, nullable=False),
    Column("prompt_vector", LargeBinary),
    # Number of the contract's enum; 0 is a class.
    Column("role", Integer, nullable=False, server_default=text("0")),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("parent_id", Text, nullable=False, server_default=text("''")),
    # The label's own policy; NULL or 0 where the collection's holds.
    Column("match_threshold", Float),
    Column("false_reject_rate", Float),
    Column("min_examples", Integer, nullable=False, server_default=text("0")),
    # The ids of the labels that a composed label needs, and of those that must not hold.
    Column("parts", JSON, nullable=False, server_default=text("'[]'")),
    Column("not_parts", JSON, nullable=False, server_default=text("'[]'")),
    Column("aliases", JSON, nullable=False, server_default=text("'[]'")),
)

examples = Table(
    "examples",
    metadata,
    # Never reused (autoincrement), so it can identify a vector in an index.
    Column("sequence", _SEQUENCE, primary_key=True),
    Column("collection_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("label_id", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("modality", Integer, nullable=False),
    Column("domain", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    # The vector's embedding space if it differs from the collection's.
    Column("embedding_space", Text),
    Column("create_time", BigInteger, nullable=False),
    # The collection's side when this was enrolled; the vector belongs to that side.
    Column("side", Integer, nullable=False, server_default=text("0")),
    # Examples of one group are left out together; empty: in no group.
    Column("group", Text, nullable=False, server_default=text("''")),
    ForeignKeyConstraint(["collection_id", "label_id"], ["labels.collection_id", "labels.id"], ondelete="CASCADE"),
    UniqueConstraint("collection_id", "id"),
    # The same content may have several labels, but each only once.
    UniqueConstraint("collection_id", "content_digest", "label_id"),
    Index("examples_by_label", "collection_id", "label_id", "sequence"),
    sqlite_autoincrement=True,
)

# Stored responses, so that a repeated enrolment request gets the same response.
requests = Table(
    "requests",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
)

# The bulk-built index that is attached to a collection.
attachments = Table(
    "attachments",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("index_id", Text, nullable=False),
    # Digest of the index's manifest; `tombstones` refers to rows of that index.
    Column("digest", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    # True if a server built it by compaction; the server also removes it.
    Column("made", Boolean, nullable=False),
)

# Deleted rows of the attached index.
tombstones = Table(
    "tombstones",
    metadata,
    Column("collection_id", Text, ForeignKey("attachments.collection_id", ondelete="CASCADE"), primary_key=True),
    Column("row", BigInteger, primary_key=True),
)

# API keys: see writes/keys.py. A row stays after its key is revoked, so that its name in `changes` stays unambiguous.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("scope", Text, nullable=False),
    Column("collections", JSON, nullable=False),
    Column("limits", JSON, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("expire_time", BigInteger),
    Column("revoke_time", BigInteger),
)

# Original inputs of collections with keep_inputs: one row per content, until its last example is deleted.
inputs = Table(
    "inputs",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("content_digest", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# Re-embeddings: the second backbone of a collection. See reembedding/reads.py.
shadows = Table(
    "shadows",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("backbone", Text, nullable=False),
    Column("embedding_space", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    # The policy of the other side; the columns of `collections` are of the side that answers.
    Column("match_threshold", Float),
    Column("match_margin", Float),
    Column("min_space_cosine", Float),
    # How often the sides were exchanged; -1 if the re-embedding has ended and is being cleaned up.
    Column("turn", Integer, nullable=False),
    Column("time", BigInteger, nullable=False),
)

# The examples' vectors by the side that they were not enrolled on, or the problem if there is none.
shadow_vectors = Table(
    "shadow_vectors",
    metadata,
    Column("sequence", _SEQUENCE, ForeignKey("examples.sequence", ondelete="CASCADE"), primary_key=True),
    Column("collection_id", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("vector", LargeBinary),
    # As in `examples`.
    Column("embedding_space", Text),
    Index("shadow_vectors_by_problem", "collection_id", "problem"),
)

# The vectors of labels' prompts by the side that does not answer.
shadow_prompts = Table(
    "shadow_prompts",
    metadata,
    Column("collection_id", Text, primary_key=True),
    Column("label_id", Text, primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("problem", Text, nullable=False),
    Column("prompt_vector", LargeBinary),
    ForeignKeyConstraint(["collection_id", "label_id"], ["labels.collection_id", "labels.id"], ondelete="CASCADE"),
)

# How review items were resolved: one row per call that resolved some. A row outlives its items, which are deleted
# a day after their resolution: it is what an undo and the counts of a summary need.
review_resolutions = Table(
    "review_resolutions",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    # One of review/records.py's ResolutionKind.
    Column("kind", Text, nullable=False),
    # Empty if the items were skipped.
    Column("label_id", Text, nullable=False),
    Column("created_label", Boolean, nullable=False),
    Column("item_count", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    # The examples that it enrolled: the digest of what can be updated, by id.
    Column("examples", JSON, nullable=False),
    Column("undo_time", BigInteger),
    Column("request_id", Text),
    Column("request_digest", Text),
    # The stored response; removed after a week.
    Column("answer", LargeBinary),
    UniqueConstraint("collection_id", "request_id"),
)

# Queries that wait for review, and those that were resolved in the last day. Numbered by the database: a query is kept
# without the head.
review_items = Table(
    "review_items",
    metadata,
    Column("sequence", _SEQUENCE, primary_key=True),
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    Column("id", Text, nullable=False),
    # Numbers of the contract's enums.
    Column("decision", Integer, nullable=False),
    Column("modality", Integer, nullable=False),
    Column("label_id", Text, nullable=False),
    Column("probability", Float, nullable=False),
    Column("uncertainty", Float, nullable=False),
    Column("content_digest", Text, nullable=False),
    # 0 if only the vector is kept.
    Column("content_bytes", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("embedding_space", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("caller", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("last_time", BigInteger, nullable=False),
    Column("expire_time", BigInteger, nullable=False),
    # The earlier of the expiry and a day after the resolution.
    Column("delete_time", BigInteger, nullable=False),
    # NULL while it waits.
    Column("resolution_id", Text),
    # The sequence number of the example that it was enrolled as. No foreign key: deletions of examples would look here.
    Column("example", BigInteger),
    ForeignKeyConstraint(
        ["collection_id", "resolution_id"],
        ["review_resolutions.collection_id", "review_resolutions.id"],
        ondelete="CASCADE",
    ),
    UniqueConstraint("collection_id", "id"),
    Index("review_items_by_resolution", "collection_id", "resolution_id", "sequence"),
    # Covers the counts, so that they read no vectors.
    Index("review_items_by_caller", "collection_id", "caller", "decision", "resolution_id", "content_bytes"),
    Index("review_items_by_time", "delete_time"),
    sqlite_autoincrement=True,
)

# Kept inputs, in parts of at most a batch. The item is written with its last part, so it has no foreign key to it.
review_contents = Table(
    "review_contents",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

# A sample of all queries of a collection: those with the least keys.
review_samples = Table(
    "review_samples",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    # The item that was kept of the query, or that it was counted for; empty: none.
    Column("item_id", Text, nullable=False),
    Column("decision", Integer, nullable=False),
    Column("label_id", Text, nullable=False),
    Column("probability", Float, nullable=False),
    Column("weight", Float, nullable=False),
    Column("key", Float, nullable=False),
    Column("embedding_space", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("expire_time", BigInteger, nullable=False),
    # Set with the item's resolution, unless it was skipped.
    Column("resolution_id", Text),
    Column("resolved_label_id", Text),
    Index("review_samples_by_key", "collection_id", "key"),
    Index("review_samples_by_item", "collection_id", "item_id"),
    Index("review_samples_by_time", "expire_time"),
)

# How many items expired or made room for others, by the hour.
review_drops = Table(
    "review_drops",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("time", BigInteger, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

#: The tables of the review queue, in order of their references. Copies of a ledger leave them out unless asked.
REVIEW_TABLES = (review_resolutions, review_items, review_contents, review_samples, review_drops)
# How often a collection made each decision on a day. Every server adds its own counts, which make no change.
decision_counts = Table(
    "decision_counts",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    # Days since 1 January 1970, UTC.
    Column("day", Integer, primary_key=True),
    Column("match_count", BigInteger, nullable=False),
    Column("unknown_count", BigInteger, nullable=False),
    Column("ambiguous_count", BigInteger, nullable=False),
)
