"""The enrolments that share a transaction: idempotent by request id and by content digest, each all or nothing."""

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

# How long the answer to a request id is kept at least: a week, in microseconds.
_REMEMBERED = 7 * 24 * 3600 * 1_000_000


@dataclass(slots=True)
class _Known:
    """What the database knows of that the enrolments into one collection could meet, and what these add to it."""

    revision: int
    side: int
    labels: set[str]
    #: By their content's digest, in order; and those that the collection's side does not have.
    examples: dict[str, list[ExampleRecord]]
    hidden: dict[str, list[ExampleRecord]]
    #: The digest and the answer of earlier requests, by id.
    answers: dict[str, tuple[str, bytes]]
    #: The digests of contents that are kept.
    inputs: set[str]
    rows: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: Table, row: dict[str, Any]) -> None:
        """A row to be inserted at the end."""
        self.rows.setdefault(table, []).append(row)


class EnrollmentWriter(Transaction):
    """See Writer."""

    def enroll(self, several: Sequence[Enrollment]) -> list[Enrolled | bytes | LedgerError]:
        """Adds labels that are not there yet and examples; the revisions are new ones where any was added.

        Each is answered by itself: by what was done; where the request was answered before, by that answer; or by
        RequestIdReused, or NotFound where the collection or an example's label is gone.
        """
        known = {
            name: _read(self.connection, name, [one for one in several if one.collection_id == name])
            for name in dict.fromkeys(one.collection_id for one in several)
        }
        outcomes: list[Enrolled | bytes | LedgerError] = []
        for one in several:
            try:
                outcomes.append(self._enroll(one, known[one.collection_id]))
            except LedgerError as error:
                outcomes.append(error)
        for table in (schema.labels, schema.examples, schema.inputs, schema.requests):
            if rows := [row for there in known.values() if there for row in there.rows.get(table, ())]:
                self.connection.execute(insert(table), rows)
        return outcomes

    def _enroll(self, one: Enrollment, known: _Known | None) -> Enrolled | bytes:
        if known is None:
            raise NotFound(f"there is no collection {one.collection_id!r}")
        if one.request and (answer := _answered(known.answers.get(one.request.id), one.request)) is not None:
            return answer
        new_labels = [label for label in one.new_labels if label.id not in known.labels]
        there = known.labels | {label.id for label in new_labels} if new_labels else known.labels
        for example in one.examples:
            if example.label_id not in there:
                raise NotFound(f"there is no label {example.label_id!r}")
        added = [replace(label, create_time=self.now, update_time=self.now) for label in new_labels]
        for label in added:
            known.labels.add(label.id)
            known.add(schema.labels, label_row(one.collection_id, label))
        enrolled = self._keep(one, known, self._add(one, known, added))
        if subject := enrolled.subject:
            self.actor = one.actor
            known.revision = self.append("enroll", one.collection_id, subject)
            enrolled = replace(enrolled, revision=known.revision)
        if one.request:
            self._remember(one, one.request, enrolled, known)
        return enrolled

    def _add(self, one: Enrollment, known: _Known, added: Sequence[LabelRecord]) -> Enrolled:
        rows: list[ExampleRecord] = []
        duplicates: list[bool] = []
        conflicts: list[list[ExampleRecord]] = []
        shown: list[str] = []
        for example in one.examples:
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
                known.add(schema.examples, example_row(one.collection_id, twin, known.side))
            rows.append(twin)
        return Enrolled(rows, duplicates, conflicts, added, known.revision, shown)

    def _show(self, hidden: ExampleRecord, again: ExampleRecord) -> ExampleRecord:
        """Lets one be there again that the collection's side lacked, now that it has a vector."""
        there = schema.shadow_vectors
        shown = replace(hidden, vector=again.vector, embedding_space=again.embedding_space)
        new = {"vector": shown.vector, "embedding_space": shown.embedding_space, "problem": ""}
        self.connection.execute(update(there).where(there.c.sequence == hidden.sequence).values(new))
        return shown

    def _keep(self, one: Enrollment, known: _Known, enrolled: Enrolled) -> Enrolled:
        """Keeps contents that are not kept yet; those of examples that were there are embedded for the shadow anew."""
        digests = {example.content_digest for example in enrolled.examples} & one.inputs.keys() - known.inputs
        if not digests:
            return enrolled
        for digest in digests:
            known.inputs.add(digest)
            row = {"collection_id": one.collection_id, "content_digest": digest, "content": one.inputs[digest]}
            known.add(schema.inputs, row)
        new = {one.id for one, old in zip(enrolled.examples, enrolled.duplicates, strict=True) if not old}
        there = [same for digest in digests for same in known.examples[digest] if same.id not in new]
        delete_failed_embeddings(self.connection, [same.sequence for same in there])
        return replace(enrolled, originals=[same.id for same in there])

    def _remember(self, one: Enrollment, request: EnrollRequest, enrolled: Enrolled, known: _Known) -> None:
        answer = request.answer(enrolled)
        known.answers[request.id] = request.digest, answer
        row = {"id": request.id, "digest": request.digest, "answer": answer, "time": self.now}
        known.add(schema.requests, {"collection_id": one.collection_id, **row})


def _read(connection: Connection, collection_id: str, several: Sequence[Enrollment]) -> _Known | None:
    """What is known in a collection; None: there is no such collection."""
    there = schema.collections.c
    collection = connection.execute(select(there.revision, there.side).where(there.id == collection_id)).first()
    if collection is None:
        return None
    examples: dict[str, list[ExampleRecord]] = {}
    hidden: dict[str, list[ExampleRecord]] = {}
    found = schema.examples.c
    for digests in batches(example.content_digest for one in several for example in one.examples):
        for row in connection.execute(select_all(collection_id, found.content_digest.in_(digests))):
            kind = examples if row.side == collection.side or row.problem == "" else hidden
            kind.setdefault(row.content_digest, []).append(example_record(row))
    inputs, kept = set[str](), schema.inputs.c
    for digests in batches(digest for one in several for digest in one.inputs):
        some = (kept.collection_id == collection_id, kept.content_digest.in_(digests))
        inputs.update(connection.scalars(select(kept.content_digest).where(*some)))
    requests = {one.request.id: one.request for one in several if one.request}
    answers = {}
    asked = schema.requests.c
    for ids in batches(requests):
        some = (asked.collection_id == collection_id, asked.id.in_(ids))
        for row in connection.execute(select(asked.id, asked.digest, asked.answer).where(*some)):
            answers[row.id] = row.digest, row.answer
    named = [label.id for one in several for label in one.new_labels]
    named += [example.label_id for one in several for example in one.examples]
    labels = existing_labels(connection, collection_id, named)
    return _Known(collection.revision, collection.side, labels, examples, hidden, answers, inputs)


def existing_labels(connection: Connection, collection_id: str, named: Iterable[str]) -> set[str]:
    """Those of some labels that there are."""
    there, found = set[str](), schema.labels.c
    for ids in batches(named):
        there.update(
            connection.scalars(select(found.id).where(found.collection_id == collection_id, found.id.in_(ids)))
        )
    return there


def stored_response_of(connection: Connection, collection_id: str, request: EnrollRequest) -> bytes | None:
    """What the request was answered before; None if it is new. Raises RequestIdReused."""
    asked = schema.requests.c
    row = connection.execute(
        select(asked.digest, asked.answer).where(asked.collection_id == collection_id, asked.id == request.id)
    ).first()
    return _answered((row.digest, row.answer) if row else None, request)


def delete_expired_responses(connection: Connection) -> None:
    """Forgets those that are more than a week older than now, and than the last one.

    A clock that runs ahead, here, does not make it forget what may be asked again.
    """
    there = schema.requests.c.time
    last = connection.scalar(select(func.max(there)))
    if last is not None:
        connection.execute(delete(schema.requests).where(there < min(last, now_microseconds()) - _REMEMBERED))


def _answered(before: tuple[str, bytes] | None, request: EnrollRequest) -> bytes | None:
    if before is None:
        return None
    if before[0] != request.digest:
        raise RequestIdReused(
            f"request id {request.id!r} was used for a request with other content; give each request an id of its own"
        )
    return before[1]
