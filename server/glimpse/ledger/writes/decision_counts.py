"""Decisions of collections by day. Each function works in its caller's transaction, which does not hold the head."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, Connection, Text, bindparam, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from glimpse.ledger.database import schema

_table, _columns, _collections = schema.decision_counts, schema.decision_counts.c, schema.collections.c
_KEY: Final = ("collection_id", "day")
_COUNTS: Final = ("match_count", "unknown_count", "ambiguous_count")


@dataclass(frozen=True, slots=True)
class DecisionCount:
    """How often a collection made each decision on one day.

    Attributes:
        create_time: creation time of the collection, because another one may get its id; 0 in results of reads.
        day: days since 1 January 1970, UTC.
    """

    collection_id: str
    create_time: int
    day: int
    match_count: int
    unknown_count: int
    ambiguous_count: int


def add(connection: Connection, counts: Sequence[DecisionCount]) -> None:
    """Adds counts to those that are stored. Counts of collections that were deleted are dropped.

    Args:
        counts: one for each collection and day.
    """
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[connection.dialect.name]
    numbers = (bindparam(name, type_=BigInteger) for name in ("day", *_COUNTS))
    values: list[ColumnElement[Any]] = [bindparam("collection_id", type_=Text), *numbers]
    this = (_collections.id == bindparam("collection_id"), _collections.create_time == bindparam("create_time"))
    statement = insert(_table).from_select([*_KEY, *_COUNTS], select(*values).where(exists().where(*this)))
    sums = {name: _columns[name] + statement.excluded[name] for name in _COUNTS}
    statement = statement.on_conflict_do_update(index_elements=_KEY, set_=sums)
    # In one order, so that two servers cannot wait for each other's rows.
    ordered = sorted(counts, key=lambda count: (count.collection_id, count.day))
    connection.execute(statement, [asdict(count) for count in ordered])


def read(connection: Connection, collection_id: str, first_day: int) -> list[DecisionCount]:
    """Returns a collection's counts from a day on, in order; days without a decision are missing."""
    query = select(_table).where(_columns.collection_id == collection_id, _columns.day >= first_day)
    rows = connection.execute(query.order_by(_columns.day))
    return [DecisionCount(create_time=0, **row._mapping) for row in rows]


def delete_before(connection: Connection, day: int) -> None:
    """Deletes the counts of earlier days."""
    connection.execute(delete(_table).where(_columns.day < day))
