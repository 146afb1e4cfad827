"""The errors of the ledger.

LedgerError
├── NotFound            a write names something that does not exist
├── AlreadyExists       something to be created exists
│   └── ContentExists   an example with the same content has the label
├── RequestIdReused     a request id was used before with other content
├── ReviewGroupChanged  members of a group of review items no longer wait
├── ResolutionChanged   somebody changed what a resolution enrolled
├── UnstorableText      the database cannot store a text
├── LedgerUnavailable   the database is temporarily unavailable
│   └── LedgerReplaced  the database file is not the one that was opened
├── LedgerDamaged       the database contains a value that no ledger wrote
├── LedgerInUse         another process holds the ledger's file
└── DataFolderInUse     another process holds the data folder
"""

from collections.abc import Sequence


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


class ReviewGroupChanged(LedgerError):
    """Raised when items that must all wait for review do not.

    Attributes:
        item_ids: those that do not wait.
    """

    def __init__(self, item_ids: Sequence[str]) -> None:
        super().__init__(f"{len(item_ids)} of the group's items no longer wait; list the groups again")
        self.item_ids = item_ids


# Examples that a message names. The server cuts messages off after 300 characters.
_NAMED = 5


class ResolutionChanged(LedgerError):
    """Raised when a resolution cannot be taken back, because somebody changed what it enrolled.

    Attributes:
        example_ids: examples that were changed or deleted since.
        label_id: the label that it created, if it was changed or deleted since; else empty.
    """

    def __init__(self, example_ids: Sequence[str], label_id: str) -> None:
        named = [f"label {label_id!r}"] if label_id else []
        named += [f"example {example_id!r}" for example_id in example_ids[:_NAMED]]
        if len(example_ids) > _NAMED:
            named.append(f"{len(example_ids) - _NAMED} further examples")
        super().__init__(f"changed since the resolution: {', '.join(named)}; undo that by hand")
        self.example_ids, self.label_id = example_ids, label_id


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
