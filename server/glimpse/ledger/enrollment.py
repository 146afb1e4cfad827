"""The transaction of an enrolment: idempotent by request id and by content digest."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, CursorResult, insert, select
from sqlalchemy.exc import IntegrityError

from glimpse.ledger import schema
from glimpse.ledger.errors import NotFound, RequestIdReused
from glimpse.ledger.records import Enrolled, EnrollRequest, ExampleRecord, LabelRecord
from glimpse.ledger.rows import example_record, example_row, label_row

# Names in one query: databases take so many parameters.
_ASKED = 10_000


def stored_answer(connection: Connection, collection_id: str, request: EnrollRequest) -> bytes | None:
    """What the request was answered before; None if it is new. Raises RequestIdReused."""
    row = connection.execute(
        select(schema.requests.c.digest, schema.requests.c.answer).where(
            schema.requests.c.collection_id == collection_id, schema.requests.c.id == request.id
        )
    ).first()
    if row is None:
        return None
    if row.digest != request.digest:
        raise RequestIdReused(
            f"request id {request.id!r} was used for a request with other content; give each request an id of its own"
        )
    answer: bytes = row.answer
    return answer


def enroll_examples(
    connection: Connection,
    collection_id: str,
    new_labels: Sequence[LabelRecord],
    examples: Sequence[ExampleRecord],
    now: int,
) -> Enrolled:
    """Inserts labels and examples in the caller's transaction; the same content under the same label once.

    The revision is the collection's last one. Raises NotFound.
    """
    revision = revision_of(connection, collection_id)
    added_labels = add_labels(connection, collection_id, new_labels, now)
    rows: list[ExampleRecord] = []
    duplicates: list[bool] = []
    conflicts: list[list[ExampleRecord]] = []
    for example in examples:
        same = _with_content(connection, collection_id, example.content_digest)
        twin = next((other for other in same if other.label_id == example.label_id), None)
        rows.append(twin or _add_example(connection, collection_id, replace(example, create_time=now)))
        duplicates.append(twin is not None)
        conflicts.append([other for other in same if other.label_id != example.label_id])
    return Enrolled(rows, duplicates, conflicts, added_labels, revision)


def revision_of(connection: Connection, collection_id: str) -> int:
    """The revision of a collection's last change. Raises NotFound."""
    query = select(schema.collections.c.revision).where(schema.collections.c.id == collection_id)
    revision = connection.scalar(query)
    if revision is None:
        raise NotFound(f"there is no collection {collection_id!r}")
    return int(revision)


def add_labels(
    connection: Connection, collection_id: str, new_labels: Sequence[LabelRecord], now: int
) -> list[LabelRecord]:
    """Inserts those labels that are not there; returns them. In the caller's transaction."""
    there = set[str]()
    for start in range(0, len(new_labels), _ASKED):
        ids = [label.id for label in new_labels[start : start + _ASKED]]
        named = schema.labels.c.id.in_(ids)
        there.update(
            connection.scalars(select(schema.labels.c.id).where(schema.labels.c.collection_id == collection_id, named))
        )
    added = [replace(label, create_time=now, update_time=now) for label in new_labels if label.id not in there]
    if added:
        connection.execute(insert(schema.labels), [label_row(collection_id, label) for label in added])
    return added


def _with_content(connection: Connection, collection_id: str, digest: str) -> list[ExampleRecord]:
    rows = connection.execute(
        select(schema.examples)
        .where(schema.examples.c.collection_id == collection_id, schema.examples.c.content_digest == digest)
        .order_by(schema.examples.c.sequence)
    )
    return [example_record(row) for row in rows]


def new_key(result: CursorResult[Any]) -> int:
    """The number the database gave to an inserted row."""
    key = result.inserted_primary_key
    assert key is not None  # noqa: S101 (both databases return it)
    return int(key[0])


def _add_example(connection: Connection, collection_id: str, example: ExampleRecord) -> ExampleRecord:
    try:
        result = connection.execute(insert(schema.examples).values(example_row(collection_id, example)))
    except IntegrityError as error:
        raise NotFound(f"there is no label {example.label_id!r}") from error
    return replace(example, sequence=new_key(result))
