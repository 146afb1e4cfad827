"""Reads one state of a ledger in batches."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Connection, Table, func, inspect, select
from sqlalchemy.exc import DBAPIError

from glimpse.ledger.database import schema
from glimpse.ledger.database.database import open_reader
from glimpse.ledger.database.schema_version import check_not_newer, current_schema, stored_schema
from glimpse.ledger.database.url import parse_url, translate_open_errors
from glimpse.ledger.errors import LedgerDamaged, LedgerError

#: Starts a progress bar from a title and a total; yields a function that advances it by a number.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
#: Errors that reading damaged rows can raise in addition to the database's own, such as a number in place of a text.
DAMAGED_VALUE_ERRORS: Final = (ArithmeticError, LookupError, TypeError, ValueError)
#: Rows per batch: some megabytes of vectors.
BATCH: Final = 1_000


@contextmanager
def consistent_read(url: str) -> Iterator[Connection]:
    """Opens a transaction that sees one state of a ledger, writes nothing and does not migrate. Raises LedgerError."""
    parsed = parse_url(url)
    with translate_open_errors(parsed):
        engine = open_reader(parsed)
    try:
        with ExitStack() as stack:
            with translate_open_errors(parsed):
                connection = stack.enter_context(engine.connect())
                schema_revision(connection)  # the first statement decides which state the others see
                disable_timeouts(connection)
            yield connection
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        raise LedgerError(f"the ledger cannot be read ({reason}); run `glimpse ledger verify`") from error
    except DAMAGED_VALUE_ERRORS as error:
        raise LedgerDamaged(f"the ledger contains an invalid value ({error}); run `glimpse ledger verify`") from error
    finally:
        engine.dispose()


def disable_timeouts(connection: Connection) -> None:
    """Disables the timeouts that servers set for their transactions."""
    if connection.dialect.name == "postgresql":
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {setting} = 0")


def schema_revision(connection: Connection) -> str:
    """Returns the Alembic revision of a ledger's schema. Raises LedgerError if there is none."""
    revisions = stored_schema(connection)
    if len(revisions) > 1:
        raise LedgerError(f"the ledger names several schemas, {', '.join(map(str, revisions))}; restore a backup")
    revision = next(iter(revisions), None)
    if revision is None:
        raise LedgerError("the database holds no ledger; name another with --data or --ledger")
    check_not_newer(revision)
    return revision


def check_current(connection: Connection) -> None:
    """Raises LedgerError if the schema is older than this version's."""
    revision = schema_revision(connection)
    if revision != current_schema():
        raise LedgerError(
            f"the ledger has schema {revision}, this version needs {current_schema()}; start a server of this version "
            "to migrate it, or make a migrated copy with `glimpse ledger backup`"
        )


def existing_columns(connection: Connection) -> dict[Table, list[Column[Any]]]:
    """Returns the tables of a ledger of any version, in order of their references, with the columns that exist."""
    inspector, tables = inspect(connection), {}
    names = set(inspector.get_table_names())
    for table in schema.metadata.sorted_tables:
        if table.name in names:
            existing = {column["name"] for column in inspector.get_columns(table.name)}
            tables[table] = [column for column in table.columns if column.name in existing]
    return tables


def count(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    """Returns the number of rows of a table that meet the conditions."""
    return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0


def rows(
    connection: Connection, table: Table, columns: Sequence[ColumnElement[Any]], *where: ColumnElement[bool]
) -> Generator[list[dict[str, Any]], None, None]:
    """Yields batches of rows in the order of the primary key. Close the generator if you do not exhaust it."""
    query = select(*columns).where(*where).order_by(*table.primary_key)
    with connection.execute(query.execution_options(yield_per=BATCH)) as result:
        for part in result.partitions():
            yield [dict(row._mapping) for row in part]
