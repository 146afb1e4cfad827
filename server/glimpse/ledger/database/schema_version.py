"""Versions of the schema: Alembic's revisions, read without Alembic, whose import takes a tenth of a second."""

from functools import cache
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect

from glimpse.ledger.errors import LedgerError

#: The folder of the migrations. Each is in `versions`, in a file whose name begins with its revision.
MIGRATIONS: Final = Path(__file__).parent / "schema_migrations"
_TABLE: Final = "alembic_version"


@cache
def current_schema() -> str:
    """Returns the revision of this version's schema."""
    return max(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def stored_schema(connection: Connection) -> tuple[str | None, ...]:
    """Returns the revision of a database's schema: none without a ledger, None if it was removed."""
    if not inspect(connection).has_table(_TABLE):
        return ()
    return tuple(revision for (revision,) in connection.exec_driver_sql(f"SELECT version_num FROM {_TABLE}"))


def check_not_newer(revision: str) -> None:
    """Raises LedgerError if a revision is newer than this version's schema."""
    if revision > current_schema():
        raise LedgerError(
            f"the ledger has schema {revision}, newer than this version supports; use the version that made it"
        )
