"""Verifies a ledger: its files, its hash chain, and that its rows match its changes."""

import json
import re
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Table, Text, cast, exists, func, or_, select
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
    """Returns the problems of a ledger in its current state. Raises LedgerError if it cannot be opened."""
    problems = Problems()
    with consistent_read(url) as connection:
        check_current(connection)
        verify_connection(connection, problems, progress)
    return problems


def verify_connection(connection: Connection, problems: Problems, progress: Progress) -> None:
    """Adds the problems that a transaction sees to `problems`."""
    try:
        if connection.dialect.name == "sqlite":
            _check_file(connection, problems, progress)
        with closing(Replay()) as replay:
            _check_chain(connection, problems, progress, replay)
            Comparison(connection, replay, problems).run(progress)
        _check_references(connection, problems)
        _check_reviewed(connection, problems)
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
    """Checks the digests from the first change to the head, and replays the changes."""
    table, last, digest = schema.changes, 0, FIRST
    # Read JSON as text, so that invalid JSON is a problem of that change only.
    columns = [cast(column, Text).label("subject") if column.name == "subject" else column for column in table.c]
    query = select(*columns).order_by(table.c.revision).execution_options(yield_per=BATCH)
    with progress("changes", count(connection, table)) as advance:
        for part in connection.execute(query).partitions():
            for row in part:
                if row.revision != last + 1:
                    problems.add("chain", f"changes {last + 1} to {row.revision - 1} are missing")
                _check_change(row, digest, problems, replay)
                last, digest = row.revision, row.digest
            advance(len(part))
    _check_head(connection, last, digest, replay, problems)


def _check_change(row: Any, before: str, problems: Problems, replay: Replay) -> None:
    try:
        change = Change(**{**row._mapping, "subject": json.loads(row.subject)})
    except ValueError:
        problems.add("chain", f"change {row.revision}: its subject is not JSON")
        return
    values = (change.revision, change.kind, change.collection_id, change.subject, change.time, change.actor)
    if link(before, *values) != change.digest:
        problems.add("chain", f"change {change.revision} does not match its digest")
    try:
        replay.apply(change)
    except ValueError as error:
        problems.add("chain", f"change {change.revision} is impossible: {error}")


def _check_head(connection: Connection, last: int, digest: str, replay: Replay, problems: Problems) -> None:
    heads = connection.execute(select(schema.head)).all()
    if len(heads) != 1:
        problems.add("head", f"the ledger has {len(heads)} heads")
        return
    [row] = heads
    problems.head = head = Head(row.ledger_id, row.revision, row.digest, row.sequence)
    if head.revision != last:
        problems.add("head", f"the head is at revision {head.revision}, but the last change is {last}")
    if head.digest != digest:
        problems.add("head", "the head's digest is not the last change's")
    stored = connection.scalar(select(func.max(schema.examples.c.sequence))) or 0
    if head.sequence < max(stored, replay.sequence):
        table = max(stored, replay.sequence)
        problems.add("head", f"the head's last example is number {head.sequence}, but number {table} was used")


def _check_references(connection: Connection, problems: Problems) -> None:
    """Finds rows that refer to missing rows."""
    for table in schema.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            other = key.referred_table
            pairs = [element.parent == element.column for element in key.elements]
            refers = [element.parent.is_not(None) for element in key.elements]
            if lost := count(connection, table, *refers, ~exists(select(1).select_from(other).where(*pairs))):
                problems.add("reference", f"{lost:,} {_rows(table, lost)} refer to missing {other.name}")


def _check_reviewed(connection: Connection, problems: Problems) -> None:
    """Finds review items that refer to an example that never existed, or is of another collection."""
    items, examples, head = schema.review_items, schema.examples.c, select(schema.head.c.sequence).scalar_subquery()
    elsewhere = (examples.sequence == items.c.example, examples.collection_id != items.c.collection_id)
    if lost := count(connection, items, or_(items.c.example > head, exists(select(1).where(*elsewhere)))):
        problems.add("reference", f"{lost:,} {_rows(items, lost)} refer to examples that are not theirs")


def _rows(table: Table, number: int) -> str:
    return f"row{'s' * (number != 1)} of {table.name}"


def _check_digests(connection: Connection, problems: Problems) -> None:
    for table in (schema.requests, schema.attachments):
        query = select(table.c.collection_id, table.c.digest).execution_options(yield_per=BATCH)
        for collection_id, digest in connection.execute(query):
            if not _SHA256.fullmatch(digest):
                problems.add("digest", f"{table.name} of collection {collection_id!r}: {digest!r} is not a SHA-256")
