"""Where a ledger is: its URL, and what to say where it cannot be opened. A password is in none of that."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from glimpse.ledger.errors import LedgerError

DATABASE_NAME: Final = "ledger.sqlite"
POSTGRESQL: Final = "postgresql+psycopg"
_UNREADABLE = (
    "the ledger's URL cannot be read; write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME, "
    "and in a password %40 for @"
)
# By what the driver says: while it connects it has no SQLSTATE, only libpq's words (and the server's, in English).
_ADVICE = (
    (r"password authentication|no password", "give the password by PGPASSWORD or PGPASSFILE, or in the URL"),
    (r'database "(.+)" does not exist', r"create it: createdb \1"),
    (r'role "(.+)" does not exist', r"create it: createuser \1"),
    (r"no pg_hba\.conf entry", "its pg_hba.conf has to let this user in from here"),
    (r"permission denied", "make the URL's user the database's owner"),
    (
        r"too many (clients|connections)|remaining connection slots",
        "raise its max_connections, or stop what has it open",
    ),
    (r"failed to resolve|could not translate host", "check the URL's host"),
    (r"timeout|timed out|No route|unreachable", "is it running, and can this machine reach it?"),
    (r"refused|No such file|starting up|shutting down|closed the connection", "is it running?"),
    (r"invalid (connection option|port|integer|sslmode|value)", "check the URL"),
)


def sqlite_url(folder: Path) -> str:
    """The URL of the ledger that a data folder holds."""
    return URL.create("sqlite", database=str(folder / DATABASE_NAME)).render_as_string()


def parse_url(url: str) -> URL:
    """`sqlite:///FILE` or `postgresql+psycopg://…`. Raises LedgerError, which has no part of the URL but its scheme."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: what stands where the port should is no number
        # The error before this one has the URL, or the password out of it.
        raise LedgerError(_UNREADABLE) from None
    if parsed.drivername not in ("sqlite", POSTGRESQL):
        raise LedgerError(f"a ledger is sqlite:///FILE or {POSTGRESQL}://…, not {parsed.drivername}://")
    if parsed.drivername == "sqlite" and (parsed.host or parsed.username):
        raise LedgerError("a ledger's file stands behind three slashes: sqlite:///FILE, or four from the root")
    if parsed.drivername == "sqlite" and not parsed.database:
        raise LedgerError("a ledger in memory would be lost; name its file: sqlite:///FILE")
    if "@" in (parsed.host or "") or not 0 < (parsed.port or 1) < 1 << 16:
        raise LedgerError(_UNREADABLE)
    return parsed


def shown(url: URL) -> str:
    """A ledger's URL for people: without the password, and without options, which may hold another."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Says for people what goes wrong while a database is opened."""
    try:
        yield
    except NoSuchModuleError as error:
        raise LedgerError(f"{shown(url)}: {error}") from error
    except ModuleNotFoundError as error:
        raise LedgerError(f"PostgreSQL needs {error.name}: pip install 'glimpse-fewshot[postgres]'") from error
    except DBAPIError as error:
        # libpq's further lines ask whether it runs.
        why = str(error.orig).strip().partition("\n")[0].strip()
        advice = _advice(why) if url.drivername == POSTGRESQL else _sqlite_advice(url)
        raise LedgerError(f"the ledger {shown(url)} cannot be opened ({why}){advice and '; '}{advice}") from error


def _sqlite_advice(url: URL) -> str:
    file = Path(url.database or "")
    for path, what in ((file.parent, "folder"), (file, "file")):
        if path.exists() and not os.access(path, os.W_OK):  # also for root, where the disk is read-only
            return f"its {what} cannot be written, and a ledger keeps its log there; give another with --data"
    return "restore it, or give another with --data"


def _advice(why: str) -> str:
    """What to do about what the driver says; nothing where that is not known."""
    found = ((re.search(pattern, why), advice) for pattern, advice in _ADVICE)
    return next((match.expand(advice) for match, advice in found if match), "")
