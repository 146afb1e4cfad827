"""One state of a ledger, read in parts."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, ColumnElement, Connection, Table, func, inspect, select
from sqlalchemy.exc import DBAPIError

from glimpse.ledger.database import schema
from glimpse.ledger.database.database import check_not_newer, current_schema, open_reader
from glimpse.ledger.database.url import parse_url, told
from glimpse.ledger.errors import LedgerDamaged, LedgerError

#: Begins something that takes a while: its title and how many there are; yields what is told of how many more are done.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
#: What reading damaged rows can raise beside the database's own errors: a number in a text's place, say.
DAMAGED_VALUE_ERRORS: Final = (ArithmeticError, LookupError, TypeError, ValueError)
#: Rows at a time: some megabytes of vectors.
BATCH: Final = 1_000


@contextmanager
def consistent_read(url: str) -> Iterator[Connection]:
    """A transaction that sees one state of a ledger and writes nothing, nor migrates. Raises LedgerError."""
    parsed = parse_url(url)
    with told(parsed):
        engine = open_reader(parsed)
    try:
        with ExitStack() as stack:
            with told(parsed):
                connection = stack.enter_context(engine.connect())
                schema_revision(connection)  # the first statement, which decides what the others see
                disable_timeouts(connection)
            yield connection
    except DBAPIError as error:
        why = str(error.orig).strip().partition("\n")[0]
        raise LedgerError(f"the ledger cannot be read ({why}); `glimpse ledger verify` says more") from error
    except DAMAGED_VALUE_ERRORS as error:
        raise LedgerDamaged(
            f"the ledger holds a value that nothing wrote ({error}); `glimpse ledger verify` says more"
        ) from error
    finally:
        engine.dispose()


def disable_timeouts(connection: Connection) -> None:
    """Lets a transaction take the time it needs, where servers would be cut off."""
    if connection.dialect.name == "postgresql":
        for setting in ("statement_timeout", "idle_in_transaction_session_timeout"):
            connection.exec_driver_sql(f"SET LOCAL {setting} = 0")


def schema_revision(connection: Connection) -> str:
    """The Alembic revision of a ledger's schema. Raises LedgerError where it is none."""
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None:
        raise LedgerError("the database holds no ledger; name another with --data or --ledger")
    check_not_newer(found)
    return found


def check_current(connection: Connection) -> None:
    """Raises LedgerError where the schema is an earlier version's."""
    found = schema_revision(connection)
    if found != current_schema():
        raise LedgerError(
            f"the ledger is of schema {found}, this version's is {current_schema()}; a server of this version brings "
            "it there when it starts, and `glimpse ledger backup` makes a copy that is"
        )


def existing_columns(connection: Connection) -> dict[Table, list[Column[Any]]]:
    """The tables that a ledger of any version has, those that others refer to first, and of each the columns."""
    inspector, found = inspect(connection), {}
    names = set(inspector.get_table_names())
    for table in schema.metadata.sorted_tables:
        if table.name in names:
            there = {column["name"] for column in inspector.get_columns(table.name)}
            found[table] = [column for column in table.columns if column.name in there]
    return found


def count(connection: Connection, table: Table, *where: ColumnElement[bool]) -> int:
    """How many rows."""
    return connection.scalar(select(func.count()).select_from(table).where(*where)) or 0


def rows(
    connection: Connection, table: Table, columns: Sequence[ColumnElement[Any]], *where: ColumnElement[bool]
) -> Generator[list[dict[str, Any]], None, None]:
    """Rows in the order of their key, a part at a time. Close it, where it may not come to its end."""
    query = select(*columns).where(*where).order_by(*table.primary_key)
    with connection.execute(query.execution_options(yield_per=BATCH)) as result:
        for part in result.partitions():
            yield [dict(row._mapping) for row in part]
