"""Ledger URLs, and the errors when one cannot be opened. No message contains a password."""

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
    "the ledger's URL cannot be parsed; write sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME, "
    "and in a password %40 for @"
)
# Advice by the driver's message: errors while connecting have no SQLSTATE, only English text.
_ADVICE = (
    (r"password authentication|no password", "give the password by PGPASSWORD or PGPASSFILE, or in the URL"),
    (r'database "(.+)" does not exist', r"create it: createdb \1"),
    (r'role "(.+)" does not exist', r"create it: createuser \1"),
    (r"no pg_hba\.conf entry", "allow this user and address in the server's pg_hba.conf"),
    (r"permission denied", "make the URL's user the database's owner"),
    (
        r"too many (clients|connections)|remaining connection slots",
        "raise its max_connections, or stop other clients",
    ),
    (r"failed to resolve|could not translate host", "check the URL's host"),
    (r"timeout|timed out|No route|unreachable", "is it running, and can this machine reach it?"),
    (r"refused|No such file|starting up|shutting down|closed the connection", "is it running?"),
    (r"invalid (connection option|port|integer|sslmode|value)", "check the URL"),
)


def sqlite_url(folder: Path) -> str:
    """Returns the URL of the ledger in a data folder."""
    return URL.create("sqlite", database=str(folder / DATABASE_NAME)).render_as_string()


def parse_url(url: str) -> URL:
    """Parses `sqlite:///FILE` or `postgresql+psycopg://…`. Raises LedgerError, whose message contains only the URL's
    scheme.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        # Hide the original error: it contains the URL, or the password from it.
        raise LedgerError(_UNREADABLE) from None
    if parsed.drivername not in ("sqlite", POSTGRESQL):
        raise LedgerError(f"a ledger is sqlite:///FILE or {POSTGRESQL}://…, not {parsed.drivername}://")
    if parsed.drivername == "sqlite" and (parsed.host or parsed.username):
        raise LedgerError("write a ledger's file after three slashes: sqlite:///FILE, or four for an absolute path")
    if parsed.drivername == "sqlite" and not parsed.database:
        raise LedgerError("a ledger in memory would be lost; name a file: sqlite:///FILE")
    if "@" in (parsed.host or "") or not 0 < (parsed.port or 1) < 1 << 16:
        raise LedgerError(_UNREADABLE)
    return parsed


def display_url(url: URL) -> str:
    """Returns a URL for display: without the password, and without options, which may contain another one."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def translate_open_errors(url: URL) -> Iterator[None]:
    """Translates the errors of opening a database into LedgerError with advice."""
    try:
        yield
    except NoSuchModuleError as error:
        raise LedgerError(f"{display_url(url)}: {error}") from error
    except ModuleNotFoundError as error:
        raise LedgerError(f"PostgreSQL needs {error.name}: pip install 'glimpse-fewshot[postgres]'") from error
    except DBAPIError as error:
        # Keep the first line: libpq's further lines only ask whether the server runs.
        reason = str(error.orig).strip().partition("\n")[0].strip()
        advice = _advice(reason) if url.drivername == POSTGRESQL else _sqlite_advice(url)
        raise LedgerError(
            f"the ledger {display_url(url)} cannot be opened ({reason}){advice and '; '}{advice}"
        ) from error


def _sqlite_advice(url: URL) -> str:
    file = Path(url.database or "")
    for path, noun in ((file.parent, "folder"), (file, "file")):
        if path.exists() and not os.access(path, os.W_OK):  # also for root, where the disk is read-only
            return f"its {noun} cannot be written, and a ledger keeps its log there; give another with --data"
    return "restore it, or give another with --data"


def _advice(reason: str) -> str:
    """Returns what to do about a driver's message; "" if it is unknown."""
    matches = ((re.search(pattern, reason), advice) for pattern, advice in _ADVICE)
    return next((match.expand(advice) for match, advice in matches if match), "")
