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
from glimpse.ledger.maintenance.consistent_read import BATCH, ODD_VALUE, Progress, check_current, count, reading
from glimpse.ledger.maintenance.problems import Faults
from glimpse.ledger.maintenance.replay import Replay
from glimpse.ledger.records import Change, Head

_SHA256 = re.compile(r"[0-9a-f]{64}")


def verify(url: str, progress: Progress) -> Faults:
    """What is wrong with a ledger as it is at this moment. Raises LedgerError where it cannot be opened."""
    faults = Faults()
    with reading(url) as connection:
        check_current(connection)
        verify_state(connection, faults, progress)
    return faults


def verify_state(connection: Connection, faults: Faults, progress: Progress) -> None:
    """What is wrong, seen by a transaction."""
    try:
        if connection.dialect.name == "sqlite":
            _check_file(connection, faults, progress)
        with closing(Replay()) as replay:
            _check_chain(connection, faults, progress, replay)
            Comparison(connection, replay, faults).run(progress)
        _check_references(connection, faults)
        _check_digests(connection, faults)
    except DBAPIError as error:
        faults.add("database", f"the database cannot be read: {str(error.orig).strip()}")
    except (LedgerDamaged, *ODD_VALUE) as error:
        faults.add("database", f"a value cannot be read: {error}")


def _check_file(connection: Connection, faults: Faults, progress: Progress) -> None:
    with progress("pages of the file", 1) as advance:
        for problem in connection.exec_driver_sql("PRAGMA integrity_check").scalars():
            if problem != "ok":
                faults.add("database", f"the file is damaged: {problem}")
        advance(1)


def _check_chain(connection: Connection, faults: Faults, progress: Progress, replay: Replay) -> None:
    """The digests from the first change to the head, and what the changes come to."""
    there, last, digest = schema.changes, 0, FIRST
    # As it is stored: what is no JSON is a fault of that change, not the end.
    columns = [cast(column, Text).label("subject") if column.name == "subject" else column for column in there.c]
    query = select(*columns).order_by(there.c.revision).execution_options(yield_per=BATCH)
    with progress("changes", count(connection, there)) as advance:
        for part in connection.execute(query).partitions():
            for row in part:
                if row.revision != last + 1:
                    faults.add("chain", f"changes {last + 1} to {row.revision - 1} are not there")
                _check_change(row, digest, faults, replay)
                last, digest = row.revision, row.digest
            advance(len(part))
    _check_head(connection, last, digest, replay, faults)


def _check_change(row: Any, before: str, faults: Faults, replay: Replay) -> None:
    try:
        change = Change(**{**row._mapping, "subject": json.loads(row.subject)})
    except ValueError:
        faults.add("chain", f"change {row.revision}: what it is about is not JSON")
        return
    told = (change.revision, change.kind, change.collection_id, change.subject, change.time, change.actor)
    if link(before, *told) != change.digest:
        faults.add("chain", f"change {change.revision} is not what its digest is of")
    try:
        replay.apply(change)
    except ValueError as error:
        faults.add("chain", f"change {change.revision} cannot have been: {error}")


def _check_head(connection: Connection, last: int, digest: str, replay: Replay, faults: Faults) -> None:
    heads = connection.execute(select(schema.head)).all()
    if len(heads) != 1:
        faults.add("head", f"the ledger has {len(heads)} heads")
        return
    [row] = heads
    faults.head = head = Head(row.ledger_id, row.revision, row.digest, row.sequence)
    if head.revision != last:
        faults.add("head", f"the head is at revision {head.revision}, the last change is {last}")
    if head.digest != digest:
        faults.add("head", "the head's digest is not the last change's")
    stored = connection.scalar(select(func.max(schema.examples.c.sequence))) or 0
    if head.sequence < max(stored, replay.sequence):
        there = max(stored, replay.sequence)
        faults.add("head", f"the head's last example is number {head.sequence}, and there was number {there}")


def _check_references(connection: Connection, faults: Faults) -> None:
    """Rows that refer to rows that are not there."""
    for table in schema.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            other = key.referred_table
            pairs = [element.parent == element.column for element in key.elements]
            if lost := count(connection, table, ~exists(select(1).select_from(other).where(*pairs))):
                faults.add("reference", f"{lost:,} {_rows(table, lost)} refer to {other.name} that are not there")


def _rows(table: Table, number: int) -> str:
    return f"row{'s' * (number != 1)} of {table.name}"


def _check_digests(connection: Connection, faults: Faults) -> None:
    for table in (schema.requests, schema.attachments):
        query = select(table.c.collection_id, table.c.digest).execution_options(yield_per=BATCH)
        for collection_id, digest in connection.execute(query):
            if not _SHA256.fullmatch(digest):
                faults.add("digest", f"{table.name} of collection {collection_id!r}: {digest!r} is no SHA-256")
