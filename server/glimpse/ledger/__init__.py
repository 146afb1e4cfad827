"""The durable record of collections, labels and examples: SQLite, one sequence of changes.

    from glimpse.ledger import Ledger
    with Ledger.open(Path("data")) as ledger:
        ledger.create_collection(...)

Knows nothing of gRPC or FAISS. Every write is one transaction that appends one change, and the change's number
is the revision it returns.
"""

from glimpse.ledger.errors import (
    AlreadyExists,
    DataFolderInUse,
    LedgerError,
    NotFound,
    RequestIdReused,
)
from glimpse.ledger.ledger import Ledger
from glimpse.ledger.records import (
    AttachmentRecord,
    CollectionRecord,
    Enrolled,
    EnrollRequest,
    ExampleRecord,
    LabelRecord,
)

__all__ = [
    "AlreadyExists",
    "AttachmentRecord",
    "CollectionRecord",
    "DataFolderInUse",
    "EnrollRequest",
    "Enrolled",
    "ExampleRecord",
    "LabelRecord",
    "Ledger",
    "LedgerError",
    "NotFound",
    "RequestIdReused",
]
