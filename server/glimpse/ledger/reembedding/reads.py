"""A collection's two sides: the backbone that it answers by, and the one that it may be switched to, its shadow.

An example's own vector is of the side that the collection was on when it was enrolled; `shadow_vectors` has that of the
other, or why there is none. So a switch changes a number in the collection's row, however many examples there are, and
an example that one side lacks is hidden while the collection is on that one. Labels' prompts, which are few, change
places with their shadows in `shadow_prompts`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, delete, func, not_, or_, select

from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.database.row_mapping import example_record, label_record
from glimpse.ledger.errors import NotFound
from glimpse.ledger.records import ExampleRecord, LabelRecord, PendingExample, ReembeddingRecord

_READ_AHEAD = 1_000
_examples, _vectors, _prompts = schema.examples.c, schema.shadow_vectors.c, schema.shadow_prompts.c


@dataclass(frozen=True, slots=True)
class ReembeddingCounts:
    """How many examples there are; how many of them, and of labels, have a vector of the other side, or a problem.

    And how many are hidden, as this side lacks them.
    """

    examples: int
    embedded: int
    failed: int
    prompts: int
    prompts_failed: int
    hidden: int

    @property
    def left(self) -> int:
        """Examples that nothing is known of on the other side."""
        return self.examples - self.embedded - self.failed


def select_examples(*, other: bool = False) -> Select[Any]:
    """The examples that a collection's side has, with its vectors; `other`: the other side's."""
    sides = schema.collections.c.side
    own = _examples.side != sides if other else _examples.side == sides
    stored = [column for column in _examples if column.name not in ("vector", "embedding_space", "side")]
    seen = [case((own, _examples[name]), else_=_vectors[name]).label(name) for name in ("vector", "embedding_space")]
    return (
        select(*stored, *seen)
        .join_from(schema.examples, schema.collections, schema.collections.c.id == _examples.collection_id)
        .outerjoin(schema.shadow_vectors, _vectors.sequence == _examples.sequence)
        .where(or_(own, _vectors.problem == ""))
    )


def select_all(collection_id: str, which: ColumnElement[bool]) -> Select[Any]:
    """Examples of whatever side, in order, with their own vectors, and `problem` as the shadow has it."""
    return (
        select(schema.examples, _vectors.problem)
        .outerjoin(schema.shadow_vectors, _vectors.sequence == _examples.sequence)
        .where(_examples.collection_id == collection_id, which)
        .order_by(_examples.sequence)
    )


def find_reembedding(connection: Connection, collection_id: str) -> ReembeddingRecord | None:
    """What a collection's shadow is, or None."""
    there = schema.shadows
    row = connection.execute(select(there).where(there.c.collection_id == collection_id)).first()
    return ReembeddingRecord.from_stored(dict(row._mapping)) if row else None


def check_reembedding(connection: Connection, collection_id: str, switches: int) -> ReembeddingRecord:
    """A collection's shadow. Raises NotFound where it is of another turn."""
    shadow = find_reembedding(connection, collection_id)
    if shadow is None or shadow.switches != switches:
        raise NotFound(f"there is no migration of {collection_id!r} at switch {switches}")
    return shadow


class ReembeddingReader:
    """Reads of one collection's shadow in one turn, in one transaction."""

    def __init__(self, connection: Connection, collection_id: str, switches: int) -> None:
        """Raises NotFound where it is of another turn by now: its two sides are the other way round then."""
        self._connection, self._collection_id = connection, collection_id
        check_reembedding(connection, collection_id, switches)
        side = select(schema.collections.c.side).where(schema.collections.c.id == collection_id)
        #: Enrolled on this side.
        self._here = _examples.side == (connection.scalar(side) or 0)
        self._own = _examples.collection_id == collection_id
        self._of_labels = and_(_prompts.collection_id == collection_id, _prompts.turn == switches)

    def pending_examples(self, after: int, limit: int, *, newest: bool = False) -> list[PendingExample]:
        """The next examples that nothing is known of, from after a sequence number on, with their originals.

        `newest`: the last ones instead.
        """
        kept = schema.inputs.c
        original = and_(kept.collection_id == self._collection_id, kept.content_digest == _examples.content_digest)
        shadow = _vectors.sequence == _examples.sequence
        query = (
            select(_examples.sequence, _examples.modality, kept.content)
            .select_from(schema.examples.outerjoin(schema.shadow_vectors, shadow).outerjoin(schema.inputs, original))
            .where(self._own, _examples.sequence > after, self._here, _vectors.sequence.is_(None))
            .order_by(_examples.sequence.desc() if newest else _examples.sequence)
            .limit(limit)
        )
        return [PendingExample(*row) for row in self._connection.execute(query)]

    def embedded_prompts(self) -> set[str]:
        """The labels whose prompts something is known of."""
        return set(self._connection.scalars(select(_prompts.label_id).where(self._of_labels)))

    def counts(self) -> ReembeddingCounts:
        """How far it is."""
        known = _vectors.collection_id == self._collection_id
        problem = select(func.count()).join_from(
            schema.shadow_vectors, schema.examples, _vectors.sequence == _examples.sequence
        )
        problem = problem.where(known, _vectors.problem != "")
        hidden = self._connection.scalar(problem.where(not_(self._here))) or 0
        return ReembeddingCounts(
            self._count(self._own) - hidden,
            self._count(known, _vectors.problem == ""),
            self._connection.scalar(problem.where(self._here)) or 0,
            self._count(self._of_labels, _prompts.problem == ""),
            self._count(self._of_labels, _prompts.problem != ""),
            hidden,
        )

    def _count(self, *some: ColumnElement[bool]) -> int:
        return self._connection.scalar(select(func.count()).where(*some)) or 0

    def failures(self, limit: int) -> list[tuple[str, str, str]]:
        """The first examples that have a problem, in order: id, label's id, problem."""
        query = (
            select(_examples.id, _examples.label_id, _vectors.problem)
            .join_from(schema.shadow_vectors, schema.examples, _examples.sequence == _vectors.sequence)
            .where(_vectors.collection_id == self._collection_id, _vectors.problem != "", self._here)
            .order_by(_vectors.sequence)
            .limit(limit)
        )
        return [(row.id, row.label_id, row.problem) for row in self._connection.execute(query)]

    def examples(self) -> Iterator[ExampleRecord]:
        """Those that the other side has, with its vectors, in the order of their enrolment."""
        query = select_examples(other=True).where(self._own).order_by(_examples.sequence)
        rows: Iterator[Row[Any]] = iter(self._connection.execute(query.execution_options(yield_per=_READ_AHEAD)))
        yield from map(example_record, rows)

    def labels(self) -> list[LabelRecord]:
        """Every label, with its prompts' vector of the other side, where there is one; by id."""
        there = schema.labels.c
        own = [column for column in schema.labels.columns if column.name != "prompt_vector"]
        this = and_(self._of_labels, _prompts.label_id == there.id)
        query = select(*own, _prompts.prompt_vector).select_from(schema.labels.outerjoin(schema.shadow_prompts, this))
        mine = query.where(there.collection_id == self._collection_id)
        rows: Iterator[Row[Any]] = iter(self._connection.execute(mine))
        return sorted(map(label_record, rows), key=lambda one: one.id)


def delete_failed_embeddings(connection: Connection, sequences: Sequence[int]) -> None:
    """Lets examples be embedded anew that could not be."""
    for some in batches(sequences):
        these = _vectors.sequence.in_(some)
        connection.execute(delete(schema.shadow_vectors).where(these, _vectors.problem != ""))


def delete_reembedded_prompts(connection: Connection, collection_id: str, label_id: str) -> None:
    """Lets a label's prompts be embedded anew: they are others now."""
    this = (_prompts.collection_id == collection_id, _prompts.label_id == label_id)
    connection.execute(delete(schema.shadow_prompts).where(*this))
