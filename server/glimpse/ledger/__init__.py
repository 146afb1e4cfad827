"""The durable record of collections, labels and examples: one sequence of changes, in SQLite or PostgreSQL.

    from glimpse.ledger import Ledger, sqlite_url
    with Ledger.open(sqlite_url(Path("data"))) as ledger, ledger.begin() as writer:
        writer.create_collection(...)

Every write appends one change and returns that change's number, the revision. Revisions have no gaps and follow the
order of commits, for any number of writers. This package imports neither gRPC nor FAISS.
"""

from glimpse.ledger.changes.notifications import listen
from glimpse.ledger.database.advisory_lock import AdvisoryLock
from glimpse.ledger.database.folder_lock import FolderLock
from glimpse.ledger.database.url import sqlite_url
from glimpse.ledger.errors import (
    AlreadyExists,
    ContentExists,
    DataFolderInUse,
    LedgerDamaged,
    LedgerError,
    LedgerInUse,
    LedgerReplaced,
    LedgerUnavailable,
    NotFound,
    RequestIdReused,
    ResolutionChanged,
    ReviewGroupChanged,
    UnstorableText,
)
from glimpse.ledger.ledger import Ledger
from glimpse.ledger.records import (
    AttachmentRecord,
    Change,
    CollectionRecord,
    Delta,
    Enrolled,
    Enrollment,
    EnrollRequest,
    ExampleRecord,
    Head,
    LabelRecord,
    PendingExample,
    ReembeddingRecord,
    ReembeddingResult,
)
from glimpse.ledger.reembedding.reads import ReembeddingCounts, ReembeddingReader
from glimpse.ledger.review.queue import ReviewQueue
from glimpse.ledger.review.records import (
    ReviewActivity,
    ReviewAdded,
    ReviewBatch,
    ReviewContentPart,
    ReviewDeleted,
    ReviewItem,
    ReviewRepeat,
    ReviewSample,
    ReviewUsage,
)
from glimpse.ledger.review.resolution import (
    ItemResult,
    ResolutionKind,
    ResolutionRows,
    Resolve,
    Resolved,
    ResolveOutcome,
    ResolveRequest,
    ReviewResolution,
    Undone,
)
from glimpse.ledger.writes.decision_counts import DecisionCount
from glimpse.ledger.writes.examples import Updated
from glimpse.ledger.writes.keys import KeyRecord
from glimpse.ledger.writes.merging import Merged, merge_labels
from glimpse.ledger.writes.originals import Original
from glimpse.ledger.writes.writer import Writer

__all__ = [
    "AdvisoryLock",
    "AlreadyExists",
    "AttachmentRecord",
    "Change",
    "CollectionRecord",
    "ContentExists",
    "DataFolderInUse",
    "DecisionCount",
    "Delta",
    "EnrollRequest",
    "Enrolled",
    "Enrollment",
    "ExampleRecord",
    "FolderLock",
    "Head",
    "ItemResult",
    "KeyRecord",
    "LabelRecord",
    "Ledger",
    "LedgerDamaged",
    "LedgerError",
    "LedgerInUse",
    "LedgerReplaced",
    "LedgerUnavailable",
    "Merged",
    "NotFound",
    "Original",
    "PendingExample",
    "ReembeddingCounts",
    "ReembeddingReader",
    "ReembeddingRecord",
    "ReembeddingResult",
    "RequestIdReused",
    "ResolutionChanged",
    "ResolutionKind",
    "ResolutionRows",
    "Resolve",
    "ResolveOutcome",
    "ResolveRequest",
    "Resolved",
    "ReviewActivity",
    "ReviewAdded",
    "ReviewBatch",
    "ReviewContentPart",
    "ReviewDeleted",
    "ReviewGroupChanged",
    "ReviewItem",
    "ReviewQueue",
    "ReviewRepeat",
    "ReviewResolution",
    "ReviewSample",
    "ReviewUsage",
    "Undone",
    "UnstorableText",
    "Updated",
    "Writer",
    "listen",
    "merge_labels",
    "sqlite_url",
]
