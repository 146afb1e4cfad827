"""Reads the changes after a revision, with the current state of what they name."""

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import Connection, select

from glimpse.ledger.changes.hash_chain import FIRST
from glimpse.ledger.database import schema
from glimpse.ledger.database.batched_queries import batches
from glimpse.ledger.database.row_mapping import change_record, collection_record, example_record, label_record
from glimpse.ledger.records import Change, CollectionRecord, Delta, ExampleRecord, LabelRecord
from glimpse.ledger.reembedding.reads import select_examples

# Changes per read; each names up to some hundreds of examples.
_MOST = 200


def read_delta(connection: Connection, revision: int, collection_id: str | None) -> Delta:
    """Reads a delta; see `Ledger.since`."""
    columns = schema.changes.c
    query = select(schema.changes).where(columns.revision > revision).order_by(columns.revision).limit(_MOST)
    if collection_id is not None:
        query = query.where(columns.collection_id == collection_id)
    changes = [change_record(row) for row in connection.execute(query)]
    before = read_digest(connection, revision)
    if not changes:
        return Delta((), {}, {}, {}, before)
    examples: dict[tuple[str, str], ExampleRecord] = {}
    labels: dict[tuple[str, str], LabelRecord] = {}
    for name in dict.fromkeys(change.collection_id for change in changes):
        some = [change for change in changes if change.collection_id == name]
        records = list(_examples(connection, name, [*_named(some, "examples"), *_named(some, "shown")]))
        examples |= {(name, example.id): example for example in records}
        named = [*_named(some, "labels"), *_named(some, "label"), *(example.label_id for example in records)]
        labels |= {(name, label.id): label for label in _labels(connection, name, named)}
    more = len(changes) == _MOST
    return Delta(changes, _collections(connection, changes), labels, examples, before, more)


def read_digest(connection: Connection, revision: int) -> str:
    """Reads a digest; see `Ledger.digest`."""
    columns = schema.changes.c
    return connection.scalar(select(columns.digest).where(columns.revision == revision)) or FIRST


def _named(changes: Iterable[Change], key: str) -> Iterator[str]:
    """Yields the ids that the changes' subjects hold under a key, one or several per change."""
    for change in changes:
        names = change.subject.get(key, ())
        yield from (names,) if isinstance(names, str) else names


def _examples(connection: Connection, collection_id: str, ids: Iterable[str]) -> Iterator[ExampleRecord]:
    columns = schema.examples.c
    for some in batches(ids):
        query = select_examples().where(columns.collection_id == collection_id, columns.id.in_(some))
        yield from map(example_record, connection.execute(query))


def _labels(connection: Connection, collection_id: str, ids: Iterable[str]) -> Iterator[LabelRecord]:
    columns = schema.labels.c
    for some in batches(ids):
        query = select(schema.labels).where(columns.collection_id == collection_id, columns.id.in_(some))
        yield from map(label_record, connection.execute(query))


def _collections(connection: Connection, changes: Sequence[Change]) -> dict[str, CollectionRecord]:
    records = {}
    for some in batches(change.collection_id for change in changes):
        query = select(schema.collections).where(schema.collections.c.id.in_(some))
        records.update({row.id: collection_record(row) for row in connection.execute(query)})
    return records
