"""Whether a ledger is whole: its files, its record of changes, and that its rows are what the changes say."""

import json
import re
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, exists, func, select
from sqlalchemy.exc import DBAPIError

from glimpse.ledger.changes.hash_chain import FIRST, link
from glimpse.ledger.database import schema
from glimpse.ledger.errors import LedgerDamaged
from glimpse.ledger.maintenance.consistency_check import Comparison
from glimpse.ledger.maintenance.consistent_read import (
    BATCH,
    DAMAGED_VALUE_ERRORS,
    Progress,
    check_current,
    consistent_read,
    count,
)
from glimpse.ledger.maintenance.problems import Problems
from glimpse.ledger.maintenance.replay import Replay
from glimpse.ledger.records import Change, Head

_SHA256 = re.compile(r"[0-9a-f]{64}")


def verify(url: str, progress: Progress) -> Problems:
    """What is wrong with a ledger as it is at this moment. Raises LedgerError where it cannot be opened."""
    problems = Problems()
    with consistent_read(url) as connection:
        check_current(connection)
        verify_connection(connection, problems, progress)
    return problems


def verify_connection(connection: Connection, problems: Problems, progress: Progress) -> None:
    """What is wrong, seen by a transaction."""
    try:
        if connection.dialect.name == "sqlite":
            _check_file(connection, problems, progress)
        with closing(Replay()) as replay:
            _check_chain(connection, problems, progress, replay)
            Comparison(connection, replay, problems).run(progress)
        _check_references(connection, problems)
        _check_digests(connection, problems)
    except DBAPIError as error:
        problems.add("database", f"the database cannot be read: {str(error.orig).strip()}")
    except (LedgerDamaged, *DAMAGED_VALUE_ERRORS) as error:
        problems.add("database", f"a value cannot be read: {error}")


def _check_file(connection: Connection, problems: Problems, progress: Progress) -> None:
    with progress("pages of the file", 1) as advance:
        for problem in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
            if problem != "ok":
                problems.add("database", f"the file is damaged: {problem}")
        advance(1)


def _check_chain(connection: Connection, problems: Problems, progress: Progress, replay: Replay) -> None:
    """The digests from the first change to the head, and what the changes come to."""
    there, last, digest = schema.changes, 0, FIRST
    # As it is stored: what is no JSON is a fault of that change, not the end.
    columns = [cast(column, Text).label("subject") if column.name == "subject" else column for column in there.c]
    query = select(*columns).order_by(there.c.revision).execution_options(yield_per=BATCH)
    with progress("changes", count(connection, there)) as advance:
        for part in connection.execute(query).partitions():
            for row in part:
                if row.revision != last + 1:
                    problems.add("chain", f"changes {last + 1} to {row.revision - 1} are not there")
                _check_change(row, digest, problems, replay)
                last, digest = row.revision, row.digest
            advance(len(part))
    _check_head(connection, last, digest, replay, problems)


def _check_change(row: Any, before: str, problems: Problems, replay: Replay) -> None:
    try:
        change = Change(**{**row._mapping, "subject": json.loads(row.subject)})
    except ValueError:
        problems.add("chain", f"change {row.revision}: what it is about is not JSON")
        return
    told = (change.revision, change.kind, change.collection_id, change.subject, change.time, change.actor)
    if link(before, *told) != change.digest:
        problems.add("chain", f"change {change.revision} is not what its digest is of")
    try:
        replay.apply(change)
    except ValueError as error:
        problems.add("chain", f"change {change.revision} cannot have been: {error}")


def _check_head(connection: Connection, last: int, digest: str, replay: Replay, problems: Problems) -> None:
    heads = connection.execute(select(schema.head)).all()
    if len(heads) != 1:
        problems.add("head", f"the ledger has {len(heads)} heads")
        return
    [row] = heads
    problems.head = head = Head(row.ledger_id, row.revision, row.digest, row.sequence)
    if head.revision != last:
        problems.add("head", f"the head is at revision {head.revision}, the last change is {last}")
    if head.digest != digest:
        problems.add("head", "the head's digest is not the last change's")
    stored = connection.scalar(select(func.max(schema.examples.c.sequence))) or 0
    if head.sequence < max(stored, replay.sequence):
        there = max(stored, replay.sequence)
        problems.add("head", f"the head's last example is number {head.sequence}, and there was number {there}")


def _check_references(connection: Connection, problems: Problems) -> None:
    """Rows that refer to rows that are not there."""
    for table in schema.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            other = key.referred_table
            pairs = [element.parent == element.column for element in key.elements]
            if lost := count(connection, table, ~exists(select(1).select_from(other).where(*pairs))):
                problems.add("reference", f"{lost:,} {_rows(table, lost)} refer to {other.name} that are not there")


def _rows(table: Table, number: int) -> str:
    return f"row{'s' * (number != 1)} of {table.name}"


def _check_digests(connection: Connection, problems: Problems) -> None:
    for table in (schema.requests, schema.attachments):
        query = select(table.c.collection_id, table.c.digest).execution_options(yield_per=BATCH)
        for collection_id, digest in connection.execute(query):
            if not _SHA256.fullmatch(digest):
                problems.add("digest", f"{table.name} of collection {collection_id!r}: {digest!r} is no SHA-256")
