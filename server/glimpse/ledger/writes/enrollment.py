"""Enrolments that share a transaction. Each is all or nothing, and idempotent by request id and by content digest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.database.row_mapping import example_record, example_row, label_row
from glimpse.ledger.database.transactions import Transaction, now_microseconds
from glimpse.ledger.errors import LedgerError, NotFound, RequestIdReused
from glimpse.ledger.records import Enrolled, Enrollment, EnrollRequest, ExampleRecord, LabelRecord
from glimpse.ledger.reembedding.reads import delete_failed_embeddings, select_all

# How long a stored response is kept at least: a week, in microseconds.
_REMEMBERED = 7 * 24 * 3600 * 1_000_000


@dataclass(slots=True)
class _Known:
    """The database's state that enrolments into one collection depend on, and the rows that they add."""

    revision: int
    side: int
    labels: set[str]
    #: Visible examples, and hidden ones, by content digest.
    examples: dict[str, list[ExampleRecord]]
    hidden: dict[str, list[ExampleRecord]]
    #: Digest and stored response of earlier requests, by request id.
    answers: dict[str, tuple[str, bytes]]
    #: Content digests of stored inputs.
    inputs: set[str]
    rows: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: Table, row: dict[str, Any]) -> None:
        """Adds a row to insert at the end."""
        self.rows.setdefault(table, []).append(row)


class EnrollmentWriter(Transaction):
    """The writes of enrolments. Use them through `Writer`."""

    def enroll(self, enrollments: Sequence[Enrollment]) -> list[Enrolled | bytes | LedgerError]:
        """Adds the labels and examples of several enrolments. A new change is appended for each that adds something.

        Args:
            several: the enrolments; each succeeds or fails by itself.

        Returns:
            For each enrolment: what was added; the stored response if the request was answered before; or
                RequestIdReused, or NotFound if the collection or a label does not exist.
        """
        known = {
            name: _read(
                self.connection, name, [enrollment for enrollment in enrollments if enrollment.collection_id == name]
            )
            for name in dict.fromkeys(enrollment.collection_id for enrollment in enrollments)
        }
        outcomes: list[Enrolled | bytes | LedgerError] = []
        for enrollment in enrollments:
            try:
                outcomes.append(self._enroll(enrollment, known[enrollment.collection_id]))
            except LedgerError as error:
                outcomes.append(error)
        for table in (schema.labels, schema.examples, schema.inputs, schema.requests):
            if rows := [row for state in known.values() if state for row in state.rows.get(table, ())]:
                self.connection.execute(insert(table), rows)
        return outcomes

    def _enroll(self, enrollment: Enrollment, known: _Known | None) -> Enrolled | bytes:
        if known is None:
            raise NotFound(f"there is no collection {enrollment.collection_id!r}")
        if (
            enrollment.request
            and (answer := _answered(known.answers.get(enrollment.request.id), enrollment.request)) is not None
        ):
            return answer
        new_labels = [label for label in enrollment.new_labels if label.id not in known.labels]
        labels = known.labels | {label.id for label in new_labels} if new_labels else known.labels
        for example in enrollment.examples:
            if example.label_id not in labels:
                raise NotFound(f"there is no label {example.label_id!r}")
        added = [replace(label, create_time=self.now, update_time=self.now) for label in new_labels]
        for label in added:
            known.labels.add(label.id)
            known.add(schema.labels, label_row(enrollment.collection_id, label))
        enrolled = self._keep(enrollment, known, self._add(enrollment, known, added))
        if subject := enrolled.subject:
            self.actor = enrollment.actor
            known.revision = self.append("enroll", enrollment.collection_id, subject)
            enrolled = replace(enrolled, revision=known.revision)
        if enrollment.request:
            self._remember(enrollment, enrollment.request, enrolled, known)
        return enrolled

    def _add(self, enrollment: Enrollment, known: _Known, added: Sequence[LabelRecord]) -> Enrolled:
        rows: list[ExampleRecord] = []
        duplicates: list[bool] = []
        conflicts: list[list[ExampleRecord]] = []
        shown: list[str] = []
        for example in enrollment.examples:
            same = known.examples.setdefault(example.content_digest, [])
            twin = next((other for other in same if other.label_id == example.label_id), None)
            hidden = [
                other for other in known.hidden.get(example.content_digest, ()) if other.label_id == example.label_id
            ]
            conflicts.append([other for other in same if other.label_id != example.label_id])
            duplicates.append(twin is not None)
            if twin is None and hidden:
                twin = self._show(hidden[0], example)
                same.append(twin)
                shown.append(twin.id)
                known.hidden[example.content_digest].remove(hidden[0])
            elif twin is None:
                twin = replace(example, sequence=self.next_sequence(), create_time=self.now)
                same.append(twin)
                known.add(schema.examples, example_row(enrollment.collection_id, twin, known.side))
            rows.append(twin)
        return Enrolled(rows, duplicates, conflicts, added, known.revision, shown)

    def _show(self, hidden: ExampleRecord, again: ExampleRecord) -> ExampleRecord:
        """Makes a hidden example visible: the enrolment has a vector for it."""
        table = schema.shadow_vectors
        shown = replace(hidden, vector=again.vector, embedding_space=again.embedding_space)
        new = {"vector": shown.vector, "embedding_space": shown.embedding_space, "problem": ""}
        self.connection.execute(update(table).where(table.c.sequence == hidden.sequence).values(new))
        return shown

    def _keep(self, enrollment: Enrollment, known: _Known, enrolled: Enrolled) -> Enrolled:
        """Stores new inputs. Existing examples with these inputs that could not be re-embedded are embedded again."""
        digests = {example.content_digest for example in enrolled.examples} & enrollment.inputs.keys() - known.inputs
        if not digests:
            return enrolled
        for digest in digests:
            known.inputs.add(digest)
            row = {
                "collection_id": enrollment.collection_id,
                "content_digest": digest,
                "content": enrollment.inputs[digest],
            }
            known.add(schema.inputs, row)
        new = {example.id for example, old in zip(enrolled.examples, enrolled.duplicates, strict=True) if not old}
        existing = [same for digest in digests for same in known.examples[digest] if same.id not in new]
        delete_failed_embeddings(self.connection, [same.sequence for same in existing])
        return replace(enrolled, originals=[same.id for same in existing])

    def _remember(self, enrollment: Enrollment, request: EnrollRequest, enrolled: Enrolled, known: _Known) -> None:
        answer = request.answer(enrolled)
        known.answers[request.id] = request.digest, answer
        row = {"id": request.id, "digest": request.digest, "answer": answer, "time": self.now}
        known.add(schema.requests, {"collection_id": enrollment.collection_id, **row})


def _read(connection: Connection, collection_id: str, enrollments: Sequence[Enrollment]) -> _Known | None:
    """Reads the state that the enrolments depend on; None if the collection does not exist."""
    columns = schema.collections.c
    query = select(columns.revision, columns.side).where(columns.id == collection_id)
    collection = connection.execute(query).first()
    if collection is None:
        return None
    examples: dict[str, list[ExampleRecord]] = {}
    hidden: dict[str, list[ExampleRecord]] = {}
    examples_table = schema.examples.c
    for digests in batches(example.content_digest for enrollment in enrollments for example in enrollment.examples):
        for row in connection.execute(select_all(collection_id, examples_table.content_digest.in_(digests))):
            kind = examples if row.side == collection.side or row.problem == "" else hidden
            kind.setdefault(row.content_digest, []).append(example_record(row))
    inputs, inputs_table = set[str](), schema.inputs.c
    for digests in batches(digest for enrollment in enrollments for digest in enrollment.inputs):
        some = (inputs_table.collection_id == collection_id, inputs_table.content_digest.in_(digests))
        inputs.update(connection.scalars(select(inputs_table.content_digest).where(*some)))
    requests = {enrollment.request.id: enrollment.request for enrollment in enrollments if enrollment.request}
    answers = {}
    requests_table = schema.requests.c
    for ids in batches(requests):
        some = (requests_table.collection_id == collection_id, requests_table.id.in_(ids))
        for row in connection.execute(
            select(requests_table.id, requests_table.digest, requests_table.answer).where(*some)
        ):
            answers[row.id] = row.digest, row.answer
    label_ids = [label.id for enrollment in enrollments for label in enrollment.new_labels]
    label_ids += [example.label_id for enrollment in enrollments for example in enrollment.examples]
    labels = existing_labels(connection, collection_id, label_ids)
    return _Known(collection.revision, collection.side, labels, examples, hidden, answers, inputs)


def existing_labels(connection: Connection, collection_id: str, label_ids: Iterable[str]) -> set[str]:
    """Returns those of the given label ids that exist."""
    existing, columns = set[str](), schema.labels.c
    for ids in batches(label_ids):
        existing.update(
            connection.scalars(select(columns.id).where(columns.collection_id == collection_id, columns.id.in_(ids)))
        )
    return existing


def stored_response_of(connection: Connection, collection_id: str, request: EnrollRequest) -> bytes | None:
    """Returns the stored response to a request, or None if it is new. Raises RequestIdReused."""
    requests_table = schema.requests.c
    row = connection.execute(
        select(requests_table.digest, requests_table.answer).where(
            requests_table.collection_id == collection_id, requests_table.id == request.id
        )
    ).first()
    return _answered((row.digest, row.answer) if row else None, request)


def delete_expired_responses(connection: Connection) -> None:
    """Deletes stored responses that are more than a week older than now and than the newest response.

    The second condition protects responses from a clock that runs ahead on this machine.
    """
    time = schema.requests.c.time
    last = connection.scalar(select(func.max(time)))
    if last is not None:
        connection.execute(delete(schema.requests).where(time < min(last, now_microseconds()) - _REMEMBERED))


def _answered(before: tuple[str, bytes] | None, request: EnrollRequest) -> bytes | None:
    if before is None:
        return None
    if before[0] != request.digest:
        raise RequestIdReused(
            f"request id {request.id!r} was used for a request with other content; give each request an id of its own"
        )
    return before[1]
