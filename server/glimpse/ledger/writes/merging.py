"""Merges labels: their examples move to another label, and their ids become its aliases."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from glimpse.ledger.database import schema
from glimpse.ledger.records import ExampleRecord, LabelRecord
from glimpse.ledger.writes.writer import Writer

# The most examples of one change.
_BATCH = 256
_examples = schema.examples.c


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge.

    Attributes:
        label: the label that got the examples.
        deleted: the ids of the labels that lost them.
        moved: those examples, as they are now.
        duplicates: the ids of the examples that were deleted, because one with the same content stays.
        revision: revision of the last change.
    """

    label: LabelRecord
    deleted: Sequence[str]
    moved: Sequence[ExampleRecord]
    duplicates: Sequence[str]
    revision: int


def merge_labels(writer: Writer, collection_id: str, into: LabelRecord, merged: Sequence[str]) -> Merged:
    """Moves the enrolled examples of labels to another label, and deletes the labels.

    Each step is a change that every reader of the ledger knows; all of them are one transaction.

    Args:
        writer: the transaction.
        collection_id: the collection.
        into: the label that gets the examples, with its new aliases.
        merged: ids of the other labels, which have no rows of an index.

    Raises:
        NotFound: a label does not exist.
    """
    stay, duplicates = _divide(writer, collection_id, into.id, merged)
    for start in range(0, len(duplicates), _BATCH):
        writer.delete_examples(collection_id, duplicates[start : start + _BATCH])
    moved: list[ExampleRecord] = []
    for start in range(0, len(stay), _BATCH):
        some = stay[start : start + _BATCH]
        moved += writer.update_examples(collection_id, some, {"label_id": into.id}).examples
    for label_id in merged:
        writer.delete_label(collection_id, label_id)
    label, revision = writer.update_label(collection_id, into)
    return Merged(label, merged, moved, duplicates, revision)


def _divide(writer: Writer, collection_id: str, into: str, merged: Sequence[str]) -> tuple[list[str], list[str]]:
    """Returns the ids of the examples that move, and of those whose content the label would have twice."""
    query = select(_examples.id, _examples.label_id, _examples.content_digest).where(
        _examples.collection_id == collection_id, _examples.label_id.in_([into, *merged])
    )
    rows = writer.connection.execute(query.order_by(_examples.sequence)).all()
    contents = {row.content_digest for row in rows if row.label_id == into}
    stay, duplicates = list[str](), list[str]()
    for row in rows:
        if row.label_id != into:
            (duplicates if row.content_digest in contents else stay).append(row.id)
            contents.add(row.content_digest)
    return stay, duplicates
