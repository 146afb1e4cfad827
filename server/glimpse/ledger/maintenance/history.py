"""The history of changes for people: what each was about, and who made it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from glimpse.ledger.database import schema
from glimpse.ledger.database.row_mapping import change_record
from glimpse.ledger.errors import LedgerError
from glimpse.ledger.maintenance.consistent_read import BATCH, check_current, consistent_read
from glimpse.ledger.records import Change

# The most labels of an enrolment that are named.
_NAMED = 5


def read_history(url: str, *, after: int = 0, collection: str | None = None) -> Iterator[Change]:
    """Yields the changes after a revision, oldest first.

    Args:
        after: the last revision to skip.
        collection: only changes of this collection; None for all.

    Raises:
        LedgerError: the ledger cannot be read, or the collection never had a change.
    """
    columns = schema.changes.c
    query = select(schema.changes).where(columns.revision > after).order_by(columns.revision)
    if collection is not None:
        query = query.where(columns.collection_id == collection)
    with consistent_read(url) as connection:
        check_current(connection)
        with connection.execute(query.execution_options(yield_per=BATCH)) as rows:
            yield from map(change_record, rows)
        condition = columns.collection_id == collection
        if (
            collection is not None
            and connection.execute(select(columns.revision).where(condition).limit(1)).first() is None
        ):
            raise LedgerError(f"there never was a collection {collection!r}; see `glimpse collections list`")


def describe_change(change: Change) -> str:
    """Describes a change in a few words."""
    subject = change.subject
    match change.kind:
        case "enroll":
            return "; ".join(_enrolled(subject))
        case "delete_label" if rows := subject.get("rows"):
            return f"label {subject['label']}, with {_many(sum(b - a + 1 for a, b in rows), 'row')} of the index"
        case "update_examples":
            # The label says it all where only the label changed.
            fields = [field for field in subject["fields"] if field != "label_id"]
            what = [*([f"label {subject['label']}"] if "label" in subject else []), *fields]
            return f"{_many(len(subject['examples']), 'example')}: new {', '.join(what)}"
        case "delete_examples":
            rows = sum(b - a + 1 for a, b in subject["rows"])
            parts = [_many(len(subject["examples"]), "example")] if subject["examples"] else []
            return " and ".join([*parts, *([f"{_many(rows, 'row')} of the index"] if rows else [])])
        case "attach" if subject.get("labels"):
            return f"index {subject['index']}, with {_many(len(subject['labels']), 'new label')}"
    shown = ("label", "example", "index", "row", "key")
    return ", ".join(f"{name} {subject[name]}" for name in shown if name in subject)


def _enrolled(subject: Mapping[str, Any]) -> Iterator[str]:
    if examples := subject.get("examples"):
        under = Counter[str]()
        for label, times in subject.get("under", ()):
            under[label] += times
        labels = [f"{label} ({times})" if len(under) > 1 else label for label, times in under.items()]
        yield _many(len(examples), "example") + (f" under {_first(labels)}" if labels else "")
    if new := subject.get("labels"):
        yield f"new label{'s' * (len(new) > 1)} {_first(new)}"


def _first(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return ", ".join(labels[:_NAMED]) + more


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
