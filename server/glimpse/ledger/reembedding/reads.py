"""Reads of a re-embedding: a collection's second backbone and the vectors that it has produced.

A collection has two sides, 0 and 1; `collections.side` is the one that answers. An example's own vector belongs to the
side that answered when it was enrolled. `shadow_vectors` holds its vector by the other side, or the reason why there is
none. A switch therefore changes one number in the collection's row, however many examples there are. An example that
lacks a vector on the answering side is hidden. Labels have few prompts: a switch exchanges their vectors with those in
`shadow_prompts`.
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
    """The progress of a re-embedding.

    Attributes:
        examples: examples in total.
        embedded: examples with a vector by the other backbone.
        failed: examples that could not be embedded.
        prompts: labels whose prompts are embedded.
        prompts_failed: labels whose prompts could not be embedded.
        hidden: examples that the answering backbone lacks.
    """

    examples: int
    embedded: int
    failed: int
    prompts: int
    prompts_failed: int
    hidden: int

    @property
    def left(self) -> int:
        """The number of examples still to embed."""
        return self.examples - self.embedded - self.failed


def select_examples(*, other: bool = False) -> Select[Any]:
    """Selects the examples that the answering side has, with its vectors; with `other`, those of the other side."""
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
    """Selects examples of either side, ordered, with their own vectors and the `problem` of the other side."""
    return (
        select(schema.examples, _vectors.problem)
        .outerjoin(schema.shadow_vectors, _vectors.sequence == _examples.sequence)
        .where(_examples.collection_id == collection_id, which)
        .order_by(_examples.sequence)
    )


def find_reembedding(connection: Connection, collection_id: str) -> ReembeddingRecord | None:
    """Returns a collection's re-embedding, or None."""
    table = schema.shadows
    row = connection.execute(select(table).where(table.c.collection_id == collection_id)).first()
    return ReembeddingRecord.from_stored(dict(row._mapping)) if row else None


def check_reembedding(connection: Connection, collection_id: str, switches: int) -> ReembeddingRecord:
    """Returns a collection's re-embedding. Raises NotFound if its number of switches is another."""
    reembedding = find_reembedding(connection, collection_id)
    if reembedding is None or reembedding.switches != switches:
        raise NotFound(f"collection {collection_id!r} has no re-embedding after {switches} switches")
    return reembedding


class ReembeddingReader:
    """Reads one collection's re-embedding in one transaction."""

    def __init__(self, connection: Connection, collection_id: str, switches: int) -> None:
        """Raises NotFound if the number of switches is another: the two sides are then exchanged."""
        self._connection, self._collection_id = connection, collection_id
        check_reembedding(connection, collection_id, switches)
        side = select(schema.collections.c.side).where(schema.collections.c.id == collection_id)
        #: True for examples that were enrolled on the answering side.
        self._here = _examples.side == (connection.scalar(side) or 0)
        self._own = _examples.collection_id == collection_id
        self._of_labels = and_(_prompts.collection_id == collection_id, _prompts.turn == switches)

    def pending_examples(self, after: int, limit: int, *, newest: bool = False) -> list[PendingExample]:
        """Returns the next examples that are neither embedded nor failed, with their original inputs.

        Args:
            after: skip examples up to this sequence number.
            limit: at most this many.
            newest: return the last ones instead of the first.
        """
        kept = schema.inputs.c
        original = and_(kept.collection_id == self._collection_id, kept.content_digest == _examples.content_digest)
        reembedding = _vectors.sequence == _examples.sequence
        query = (
            select(_examples.sequence, _examples.modality, kept.content)
            .select_from(
                schema.examples.outerjoin(schema.shadow_vectors, reembedding).outerjoin(schema.inputs, original)
            )
            .where(self._own, _examples.sequence > after, self._here, _vectors.sequence.is_(None))
            .order_by(_examples.sequence.desc() if newest else _examples.sequence)
            .limit(limit)
        )
        return [PendingExample(*row) for row in self._connection.execute(query)]

    def embedded_prompts(self) -> set[str]:
        """Returns the ids of labels whose prompts are embedded or failed."""
        return set(self._connection.scalars(select(_prompts.label_id).where(self._of_labels)))

    def counts(self) -> ReembeddingCounts:
        """Returns how many examples and prompts are embedded."""
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

    def _count(self, *batch: ColumnElement[bool]) -> int:
        return self._connection.scalar(select(func.count()).where(*batch)) or 0

    def failures(self, limit: int) -> list[tuple[str, str, str]]:
        """Returns the first failed examples, in order: id, label id, problem."""
        query = (
            select(_examples.id, _examples.label_id, _vectors.problem)
            .join_from(schema.shadow_vectors, schema.examples, _examples.sequence == _vectors.sequence)
            .where(_vectors.collection_id == self._collection_id, _vectors.problem != "", self._here)
            .order_by(_vectors.sequence)
            .limit(limit)
        )
        return [(row.id, row.label_id, row.problem) for row in self._connection.execute(query)]

    def examples(self) -> Iterator[ExampleRecord]:
        """Yields the examples that the other side has, with its vectors, in the order of enrolment."""
        query = select_examples(other=True).where(self._own).order_by(_examples.sequence)
        rows: Iterator[Row[Any]] = iter(self._connection.execute(query.execution_options(yield_per=_READ_AHEAD)))
        yield from map(example_record, rows)

    def labels(self) -> list[LabelRecord]:
        """Returns every label with the vector of its prompts by the other side, if there is one; ordered by id."""
        there = schema.labels.c
        own = [column for column in schema.labels.columns if column.name != "prompt_vector"]
        this = and_(self._of_labels, _prompts.label_id == there.id)
        query = select(*own, _prompts.prompt_vector).select_from(schema.labels.outerjoin(schema.shadow_prompts, this))
        mine = query.where(there.collection_id == self._collection_id)
        rows: Iterator[Row[Any]] = iter(self._connection.execute(mine))
        return sorted(map(label_record, rows), key=lambda record: record.id)


def delete_failed_embeddings(connection: Connection, sequences: Sequence[int]) -> None:
    """Deletes the problems of examples, so that they are embedded again."""
    for batch in batches(sequences):
        these = _vectors.sequence.in_(batch)
        connection.execute(delete(schema.shadow_vectors).where(these, _vectors.problem != ""))


def delete_reembedded_prompts(connection: Connection, collection_id: str, label_id: str) -> None:
    """Deletes the vectors of a label's prompts by the other side: the prompts have changed."""
    this = (_prompts.collection_id == collection_id, _prompts.label_id == label_id)
    connection.execute(delete(schema.shadow_prompts).where(*this))
