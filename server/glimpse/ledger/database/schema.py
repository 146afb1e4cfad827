"""The tables. A change here needs a migration in migrations/versions; a test compares the two."""

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

# Both are numbered by `head`, not by the database: see there. (SQLite's keys must be INTEGER to be its row ids.)
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")

# One row, locked by whoever writes: so revisions have no gaps and are seen in their order, in PostgreSQL too, where
# sequences' numbers are taken before a commit and lost with it.
head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True),
    # Of this ledger, so that what was made from another is known.
    Column("ledger_id", Text, nullable=False),
    # Of the last change, with its digest; and of the last example there ever was.
    Column("revision", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
)

# The append-only sequence: one row a write, its number the revision.
changes = Table(
    "changes",
    metadata,
    Column("revision", _SEQUENCE, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("collection_id", Text, nullable=False),
    Column("subject", JSON, nullable=False),
    Column("time", BigInteger, nullable=False),
    # Who wrote it: the name of a key; empty where nobody has to say.
    Column("actor", Text, nullable=False, server_default=text("''")),
    # Of this change and, through the one before, of all before: see chain.py.
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
    # Both the contract's numbers; 0: nobody chose.
    Column("label_mode", Integer, nullable=False, server_default=text("0")),
    Column("pinned_head", Integer, nullable=False, server_default=text("0")),
    Column("keep_inputs", Boolean, nullable=False, server_default=false()),
    # Which of two backbones it answers by, where it has or had two: see shadows.py.
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
    # The contract's number; 0: a class.
    Column("role", Integer, nullable=False, server_default=text("0")),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
)

examples = Table(
    "examples",
    metadata,
    # Never reused (autoincrement), so it can name a vector in an index.
    Column("sequence", _SEQUENCE, primary_key=True),
    Column("collection_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("label_id", Text, nullable=False),
    Column("content_digest", Text, nullable=False),
    Column("modality", Integer, nullable=False),
    Column("domain", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    # Of the vector, where it is not the collection's own.
    Column("embedding_space", Text),
    Column("create_time", BigInteger, nullable=False),
    # Of the collection, when this was enrolled: the vector is that one's.
    Column("side", Integer, nullable=False, server_default=text("0")),
    ForeignKeyConstraint(["collection_id", "label_id"], ["labels.collection_id", "labels.id"], ondelete="CASCADE"),
    UniqueConstraint("collection_id", "id"),
    # The same content may stand under several labels, but once under each.
    UniqueConstraint("collection_id", "content_digest", "label_id"),
    Index("examples_by_label", "collection_id", "label_id", "sequence"),
    sqlite_autoincrement=True,
)

# What an enrolment was answered, so that the same request again is answered the same.
requests = Table(
    "requests",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("time", BigInteger, nullable=False),
)

# The index built in bulk that a collection stands on.
attachments = Table(
    "attachments",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("index_id", Text, nullable=False),
    # Of the index's manifest: the rows below are that one's.
    Column("digest", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    # By a server, which removes it when it is replaced.
    Column("made", Boolean, nullable=False),
)

# The rows of it that were deleted since.
tombstones = Table(
    "tombstones",
    metadata,
    Column("collection_id", Text, ForeignKey("attachments.collection_id", ondelete="CASCADE"), primary_key=True),
    Column("row", BigInteger, primary_key=True),
)

# Who may call: see keys.py. A row stays when its key is revoked, so that its name in `changes` stays clear.
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

# The originals that collections with keep_inputs keep: once for each content, until its last example is deleted.
inputs = Table(
    "inputs",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("content_digest", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

# A collection that is to have another backbone, or had one: what the other side is. See shadows.py.
shadows = Table(
    "shadows",
    metadata,
    Column("collection_id", Text, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("backbone", Text, nullable=False),
    Column("embedding_space", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    # Of the other side, as the columns of collections are of the side that answers.
    Column("match_threshold", Float),
    Column("match_margin", Float),
    Column("min_space_cosine", Float),
    # How often the sides changed places; -1: what is left of it is being folded.
    Column("turn", Integer, nullable=False),
    Column("time", BigInteger, nullable=False),
)

# The vectors that examples have by the side that they were not enrolled on; a problem where one cannot be had.
shadow_vectors = Table(
    "shadow_vectors",
    metadata,
    Column("sequence", _SEQUENCE, ForeignKey("examples.sequence", ondelete="CASCADE"), primary_key=True),
    Column("collection_id", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("vector", LargeBinary),
    # As that of examples.
    Column("embedding_space", Text),
    Index("shadow_vectors_by_problem", "collection_id", "problem"),
)

# And those that labels' prompts have by the side that does not answer.
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
