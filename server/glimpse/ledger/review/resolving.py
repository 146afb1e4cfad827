"""Resolves review items in one transaction: they are enrolled, and leave the queue."""

import secrets
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Row, and_, bindparam, func, insert, select, update

from glimpse.ledger.changes.hash_chain import content
from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.errors import LedgerError, NotFound, RequestIdReused, ReviewGroupChanged
from glimpse.ledger.records import Enrolled, Enrollment, ExampleRecord, LabelRecord
from glimpse.ledger.review.contents import read_contents
from glimpse.ledger.review.labels import choose_label
from glimpse.ledger.review.records import ReviewItem
from glimpse.ledger.review.resolution import ItemResult, ResolutionKind, Resolve, Resolved, ResolveOutcome
from glimpse.ledger.review.rows import answer_samples, item_record, lock_items, select_items, waiting
from glimpse.ledger.writes.enrollment import EnrollmentWriter

# A resolved item stays for a day, so that the resolution can be taken back.
_STAYS: Final = 24 * 3600 * 1_000_000
# Originals of one enrolment: about the most bytes in memory at once.
_CONTENT_BYTES: Final = 16 << 20
_items, _samples, _resolutions = schema.review_items.c, schema.review_samples.c, schema.review_resolutions.c


class Resolution:
    """One resolution, in the transaction of its writer."""

    def __init__(self, writer: EnrollmentWriter, resolve: Resolve) -> None:
        self._writer, self._resolve = writer, resolve
        self._connection, self._collection_id = writer.connection, resolve.collection_id

    def run(self) -> Resolved | bytes:
        """Resolves the items; see `Writer.resolve_review`."""
        columns = schema.collections.c
        collection = self._connection.execute(
            select(schema.collections).where(columns.id == self._collection_id)
        ).first()
        if collection is None:
            raise NotFound(f"there is no collection {self._collection_id!r}")
        if (answer := self._stored_response()) is not None:
            return answer
        states = lock_items(self._connection, self._collection_id, self._resolve.item_ids)
        self._check_expected()
        results = self._results(states, collection.embedding_space)
        ids = [item_id for item_id, result in results.items() if result.outcome == ResolveOutcome.RESOLVED]
        if not ids:
            return Resolved("", list(results.values()), collection.revision)
        label, created = choose_label(self._connection, self._resolve)
        enrolled, examples = [], dict[str, ExampleRecord]()
        if label:
            enrolled = list(self._enroll(ids, label, created, collection))
            for item_id, example in zip(ids, (one for some in enrolled for one in some.examples), strict=True):
                examples[item_id] = example
        results |= {
            item_id: ItemResult(item_id, ResolveOutcome.RESOLVED, example.id) for item_id, example in examples.items()
        }
        revision = max([int(collection.revision), *(some.revision for some in enrolled)])
        resolved = Resolved(
            secrets.token_hex(8), list(results.values()), revision, label.id if label else "", created, enrolled
        )
        self._store(resolved, ids, examples)
        return resolved

    def _stored_response(self) -> bytes | None:
        if (request := self._resolve.request) is None:
            return None
        this = (_resolutions.collection_id == self._collection_id, _resolutions.request_id == request.id)
        row = self._connection.execute(select(_resolutions.request_digest, _resolutions.answer).where(*this)).first()
        if row is None:
            return None
        if row.request_digest != request.digest:
            raise RequestIdReused(
                f"request id {request.id!r} was used for a request with other content; give each request its own id"
            )
        return bytes(row.answer)

    def _check_expected(self) -> None:
        """Raises ReviewGroupChanged if an expected item does not wait."""
        expected, wait = list(self._resolve.expected), set[str]()
        for some in batches(expected):
            query = select(_items.id).where(_items.collection_id == self._collection_id, _items.id.in_(some))
            wait.update(self._connection.scalars(query.where(waiting(self._writer.now))))
        if gone := [item_id for item_id in expected if item_id not in wait]:
            raise ReviewGroupChanged(gone)

    def _results(self, states: dict[str, Row[Any]], space: str) -> dict[str, ItemResult]:
        """Returns what happens to each item, in the order of the request."""
        accepted = {space, *self._resolve.accepted_spaces}
        ids = {row.resolution_id for row in states.values() if row.resolution_id is not None}
        query = select(_resolutions.id, _resolutions.actor, _resolutions.label_id)
        query = query.where(_resolutions.collection_id == self._collection_id, _resolutions.id.in_(ids))
        before = {row.id: row for row in self._connection.execute(query)} if ids else {}
        results = {}
        for item_id in self._resolve.item_ids:
            state, result = states.get(item_id), ItemResult(item_id, ResolveOutcome.RESOLVED)
            if state is not None and state.resolution_id is not None:
                other = before[state.resolution_id]
                outcome = ResolveOutcome.ALREADY_RESOLVED
                result = ItemResult(item_id, outcome, resolved_by=other.actor, resolved_label_id=other.label_id)
            elif state is None or state.expire_time <= self._writer.now:
                result = ItemResult(item_id, ResolveOutcome.NOT_FOUND)
            elif self._resolve.kind != ResolutionKind.SKIP and state.embedding_space not in accepted:
                result = ItemResult(item_id, ResolveOutcome.OTHER_SPACE)
            results[item_id] = result
        return results

    def _enroll(
        self, ids: Sequence[str], label: LabelRecord, created: bool, collection: Row[Any]
    ) -> Iterator[Enrolled]:
        """Enrolls the items, in as many changes as their originals need memory."""
        for some in self._chunks(ids, collection.keep_inputs):
            examples = [_example(item, label.id, collection.embedding_space) for item in some]
            inputs = {}
            if collection.keep_inputs:
                contents = read_contents(self._connection, self._collection_id, [item.id for item in some], 1 << 62)
                inputs = {item.content_digest: contents[item.id] for item in some if item.id in contents}
            labels, created = [label] if created else [], False
            enrollment = Enrollment(self._collection_id, labels, examples, actor=self._resolve.actor, inputs=inputs)
            [outcome] = self._writer.enroll([enrollment])
            if isinstance(outcome, LedgerError):
                raise outcome
            assert isinstance(outcome, Enrolled)  # noqa: S101
            yield outcome

    def _chunks(self, ids: Sequence[str], with_content: bool) -> Iterator[list[ReviewItem]]:
        """Yields the items in the order of the ids, in parts that fit into memory with their content."""
        items: dict[str, ReviewItem] = {}
        for batch in batches(ids):
            query = select_items(self._collection_id, vectors=True).where(_items.id.in_(batch))
            items |= {row.id: item_record(row) for row in self._connection.execute(query)}
        some: list[ReviewItem] = []
        total = 0
        for item_id in ids:
            total += items[item_id].content_bytes
            if some and with_content and total > _CONTENT_BYTES:
                yield some
                some, total = [], items[item_id].content_bytes
            some.append(items[item_id])
        yield some

    def _store(self, resolved: Resolved, ids: Sequence[str], examples: dict[str, ExampleRecord]) -> None:
        """Stores the resolution, and which items and samples it resolved."""
        new = {}
        for enrolled in resolved.enrolled:
            for example, old in zip(enrolled.examples, enrolled.duplicates, strict=True):
                if not old and example.id not in enrolled.shown:
                    new[example.id] = updatable_digest(example)
        now, request = self._writer.now, self._resolve.request
        row = {
            "collection_id": self._collection_id,
            "id": resolved.resolution_id,
            "time": now,
            "actor": self._resolve.actor,
            "kind": self._resolve.kind.value,
            "label_id": resolved.label_id,
            "created_label": resolved.created_label,
            "item_count": len(ids),
            "revision": resolved.revision,
            "examples": new,
        }
        if request:
            row |= {"request_id": request.id, "request_digest": request.digest, "answer": request.answer(resolved)}
        self._connection.execute(insert(schema.review_resolutions).values(row))
        which = (_items.collection_id == self._collection_id, _items.id == bindparam("which"))
        sooner = func.min if self._connection.dialect.name == "sqlite" else func.least
        values = {"resolution_id": resolved.resolution_id, "example": bindparam("number")}
        values |= {"delete_time": sooner(_items.expire_time, now + _STAYS)}
        numbers = {item_id: example.sequence for item_id, example in examples.items()}
        self._connection.execute(
            update(schema.review_items).where(*which).values(values),
            [{"which": item_id, "number": numbers.get(item_id)} for item_id in ids],
        )
        if resolved.label_id:
            own = and_(_samples.collection_id == self._collection_id, _samples.item_id.in_(ids))
            answer_samples(self._connection, own, resolved.resolution_id, resolved.label_id)


def updatable_digest(example: ExampleRecord) -> str:
    """Returns the digest of the values of an example that can be updated, and of its content."""
    values = (example.label_id, example.content_digest, example.domain, example.metadata, example.group)
    return content(b"", *values)


def _example(item: ReviewItem, label_id: str, space: str) -> ExampleRecord:
    return ExampleRecord(
        secrets.token_hex(8),
        label_id,
        item.content_digest,
        item.modality,
        item.vector,
        item.domain,
        embedding_space=None if item.embedding_space == space else item.embedding_space,
    )
