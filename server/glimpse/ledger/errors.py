"""What the ledger refuses.

LedgerError
├── NotFound            a write about something that is not there
├── AlreadyExists       a creation of something that is
├── RequestIdReused     a request id seen before with other content
├── UnstorableText      a text that the database cannot hold
├── LedgerUnavailable   the database cannot be had at the moment
│   └── LedgerReplaced  the file of the database is not the one that is open
├── LedgerDamaged       the database holds what was never written to it
├── LedgerInUse         another process holds the ledger's file
└── DataFolderInUse     another process holds the data folder
"""


class LedgerError(Exception):
    """Any refusal of the ledger; the message is for people."""


class NotFound(LedgerError):
    """A write about a collection, label or example that does not exist."""


class AlreadyExists(LedgerError):
    """A creation of a collection or label that exists."""


class RequestIdReused(LedgerError):
    """The request id was used before for a request with other content."""


class UnstorableText(LedgerError):
    """A text that the database cannot hold: one with half of a character, or, in PostgreSQL, with NUL."""


class LedgerUnavailable(LedgerError):
    """The database is gone, full or busy. Whether a write that met this was committed is not known."""


class LedgerReplaced(LedgerUnavailable):
    """The ledger's file was moved, replaced or removed while it is open."""


class LedgerDamaged(LedgerError):
    """The database, or a value in it, cannot be read: its file was changed by something else than a ledger."""


class LedgerInUse(LedgerError):
    """Another process has the ledger's file open, and it takes only one."""


class DataFolderInUse(LedgerError):
    """Another process has the data folder open."""
