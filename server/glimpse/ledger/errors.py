"""The errors of the ledger.

LedgerError
├── NotFound            a write names something that does not exist
├── AlreadyExists       something to be created exists
│   └── ContentExists   an example with the same content has the label
├── RequestIdReused     a request id was used before with other content
├── UnstorableText      the database cannot store a text
├── LedgerUnavailable   the database is temporarily unavailable
│   └── LedgerReplaced  the database file is not the one that was opened
├── LedgerDamaged       the database contains a value that no ledger wrote
├── LedgerInUse         another process holds the ledger's file
└── DataFolderInUse     another process holds the data folder
"""


class LedgerError(Exception):
    """Base class of the ledger's errors. The message is for people."""


class NotFound(LedgerError):
    """Raised for a write to a collection, label or example that does not exist."""


class AlreadyExists(LedgerError):
    """Raised when a collection, label or key to be created exists."""


class ContentExists(AlreadyExists):
    """Raised when an example cannot get a label, because another example with the same content has it.

    Attributes:
        example_id: the example that cannot get the label.
        other_id: the example that has it.
    """

    def __init__(self, example_id: str, other_id: str, label_id: str) -> None:
        super().__init__(
            f"example {other_id!r} has the same content as example {example_id!r}, and the label {label_id!r}; "
            "delete one of the two"
        )
        self.example_id, self.other_id = example_id, other_id


class RequestIdReused(LedgerError):
    """Raised when a request id was used before for a request with other content."""


class UnstorableText(LedgerError):
    """Raised for a text that the database cannot store: an unpaired surrogate, or NUL in PostgreSQL."""


class LedgerUnavailable(LedgerError):
    """Raised when the database is unreachable, full or busy. A write that raises it may have been committed."""


class LedgerReplaced(LedgerUnavailable):
    """Raised when the ledger's file was moved, replaced or removed while it is open."""


class LedgerDamaged(LedgerError):
    """Raised when a value cannot be read: something other than a ledger has changed the database."""


class LedgerInUse(LedgerError):
    """Raised when another process has the ledger's file open exclusively."""


class DataFolderInUse(LedgerError):
    """Raised when another process has the data folder open."""
