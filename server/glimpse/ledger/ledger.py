"""The ledger's reads and writes. Blocking; a server calls it from a thread of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import DatabaseError, IntegrityError

from glimpse.ledger import attachments, schema
from glimpse.ledger.attaching import AttachingLedger
from glimpse.ledger.changes import present
from glimpse.ledger.database import FolderLock, open_engine
from glimpse.ledger.enrollment import enroll_examples, revision_of, stored_answer
from glimpse.ledger.errors import AlreadyExists, LedgerError, NotFound
from glimpse.ledger.records import (
    CollectionRecord,
    Enrolled,
    EnrollRequest,
    ExampleRecord,
    LabelRecord,
)
from glimpse.ledger.rows import changeable, example_record, label_record, label_row

# Rows read at a time when a collection is loaded: bounds memory, not speed.
_READ_AHEAD = 1_000
# How long the answer to a request id is kept at least: a week, in microseconds.
_REMEMBERED = 7 * 24 * 3600 * 1_000_000


class Ledger(AttachingLedger):
    """One data folder's record. Each write commits durably before it returns, with the revision it made."""

    def __init__(self, engine: Engine, lock: FolderLock) -> None:
        self._engine = engine
        self._lock = lock

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Opens, and on first use makes, the ledger of a data folder. Raises LedgerError."""
        lock = FolderLock(folder)
        try:
            ledger = cls(open_engine(folder), lock)
            ledger._forget_requests()
        except BaseException as error:
            lock.release()
            if isinstance(error, DatabaseError):
                message = f"the ledger in {folder} cannot be read ({error.orig}); restore it, or give another folder"
                raise LedgerError(message) from error
            raise
        return ledger

    def close(self) -> None:
        """Closes the database and frees the folder."""
        self._engine.dispose()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def revision(self) -> int:
        """The number of the last change; 0 before the first."""
        with self._engine.connect() as connection:
            return connection.scalar(select(func.max(schema.changes.c.revision))) or 0

    # Collections

    def create_collection(self, record: CollectionRecord) -> CollectionRecord:
        """Adds a collection; returns it with its revision and times. Raises AlreadyExists."""
        with self._change("create_collection", record.id) as (connection, revision, now):
            record = replace(record, revision=revision, create_time=now, update_time=now)
            try:
                connection.execute(insert(schema.collections).values(asdict(record)))
            except IntegrityError as error:
                raise AlreadyExists(f"collection {record.id!r} exists") from error
        return record

    def update_collection(self, record: CollectionRecord) -> CollectionRecord:
        """Stores a collection's display name, policy, use of names and pinned head. Raises NotFound."""
        with self._change("update_collection", record.id) as (connection, revision, now):
            record = replace(record, revision=revision, update_time=now)
            self._must_touch(
                connection.execute(
                    update(schema.collections).where(schema.collections.c.id == record.id).values(changeable(record))
                ).rowcount,
                f"collection {record.id!r}",
            )
        return record

    def delete_collection(self, collection_id: str) -> int:
        """Deletes a collection and all that is in it; returns the revision. Raises NotFound."""
        with self._change("delete_collection", collection_id) as (connection, revision, _now):
            self._must_touch(
                connection.execute(delete(schema.collections).where(schema.collections.c.id == collection_id)).rowcount,
                f"collection {collection_id!r}",
            )
        return revision

    def collections(self) -> list[CollectionRecord]:
        """Every collection, by id."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(schema.collections).order_by(schema.collections.c.id))
            return [CollectionRecord(**row._mapping) for row in rows]

    # Labels

    def create_label(self, collection_id: str, record: LabelRecord) -> tuple[LabelRecord, int]:
        """Adds a label; returns it with its times, and the revision. Raises AlreadyExists and NotFound."""
        subject = {"label": record.id}
        with self._change("create_label", collection_id, subject) as (connection, revision, now):
            record = replace(record, create_time=now, update_time=now)
            revision_of(connection, collection_id)
            try:
                connection.execute(insert(schema.labels).values(label_row(collection_id, record)))
            except IntegrityError as error:
                raise AlreadyExists(f"label {record.id!r} exists in collection {collection_id!r}") from error
        return record, revision

    def update_label(self, collection_id: str, record: LabelRecord) -> tuple[LabelRecord, int]:
        """Stores a label's display name and prompts; returns it and the revision. Raises NotFound."""
        subject = {"label": record.id}
        with self._change("update_label", collection_id, subject) as (connection, revision, now):
            record = replace(record, update_time=now)
            self._must_touch(
                connection.execute(
                    update(schema.labels)
                    .where(schema.labels.c.collection_id == collection_id, schema.labels.c.id == record.id)
                    .values(label_row(collection_id, record))
                ).rowcount,
                f"label {record.id!r}",
            )
        return record, revision

    def delete_label(self, collection_id: str, label_id: str, rows: Sequence[int] = ()) -> int:
        """Deletes a label, its examples and its rows of the index; returns the revision. Raises NotFound."""
        subject = {"label": label_id}
        with self._change("delete_label", collection_id, subject) as (connection, revision, _now):
            self._must_touch(
                connection.execute(
                    delete(schema.labels).where(
                        schema.labels.c.collection_id == collection_id, schema.labels.c.id == label_id
                    )
                ).rowcount,
                f"label {label_id!r}",
            )
            attachments.bury(connection, collection_id, rows)
        return revision

    def labels(self, collection_id: str) -> list[LabelRecord]:
        """Every label of a collection, by id."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(schema.labels).where(schema.labels.c.collection_id == collection_id).order_by(schema.labels.c.id)
            )
            return [label_record(row) for row in rows]

    # Examples

    def enroll(
        self,
        collection_id: str,
        new_labels: Sequence[LabelRecord],
        examples: Sequence[ExampleRecord],
        request: EnrollRequest | None = None,
    ) -> Enrolled | bytes:
        """Adds labels that are not there yet and examples, all or nothing; the revision is a new one if any was added.

        Returns what was done, or, where the request was answered before, that answer. Raises RequestIdReused,
        and NotFound where the collection or an example's label is gone.
        """
        with self._engine.begin() as connection:
            if request and (answer := stored_answer(connection, collection_id, request)):
                return answer
            now = present()
            enrolled = enroll_examples(connection, collection_id, new_labels, examples, now)
            if enrolled.subject:
                revision = self._append(connection, "enroll", collection_id, enrolled.subject, now)
                enrolled = replace(enrolled, revision=revision)
            if request:
                connection.execute(
                    insert(schema.requests).values(
                        collection_id=collection_id,
                        id=request.id,
                        digest=request.digest,
                        answer=request.answer(enrolled),
                        time=now,
                    )
                )
        return enrolled

    def answer_of(self, collection_id: str, request: EnrollRequest) -> bytes | None:
        """What a request was answered before, or None. Raises RequestIdReused."""
        with self._engine.connect() as connection:
            return stored_answer(connection, collection_id, request)

    def _forget_requests(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(schema.requests).where(schema.requests.c.time < present() - _REMEMBERED))

    def delete_example(self, collection_id: str, example_id: str) -> int:
        """Deletes an example; returns the revision. Raises NotFound."""
        subject = {"example": example_id}
        with self._change("delete_example", collection_id, subject) as (connection, revision, _now):
            self._must_touch(
                connection.execute(delete(schema.examples).where(*_is_example(collection_id, example_id))).rowcount,
                f"example {example_id!r}",
            )
        return revision

    def example(self, collection_id: str, example_id: str) -> ExampleRecord:
        """One example. Raises NotFound."""
        with self._engine.connect() as connection:
            row = connection.execute(select(schema.examples).where(*_is_example(collection_id, example_id))).first()
        if row is None:
            raise NotFound(f"there is no example {example_id!r}")
        return example_record(row)

    def examples(
        self, collection_id: str, *, after: int = 0, limit: int | None = None, label_id: str | None = None
    ) -> Iterator[ExampleRecord]:
        """A collection's examples in the order of their enrolment, from after a sequence number on."""
        query = (
            select(schema.examples)
            .where(schema.examples.c.collection_id == collection_id, schema.examples.c.sequence > after)
            .order_by(schema.examples.c.sequence)
            .limit(limit)
        )
        if label_id is not None:
            query = query.where(schema.examples.c.label_id == label_id)
        with self._engine.connect() as connection:
            rows: Iterator[Row[Any]] = iter(connection.execute(query.execution_options(yield_per=_READ_AHEAD)))
            yield from map(example_record, rows)


def _is_example(collection_id: str, example_id: str) -> tuple[Any, Any]:
    return schema.examples.c.collection_id == collection_id, schema.examples.c.id == example_id
