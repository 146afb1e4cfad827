"""Changes to enrolled examples. Each call is one change in the ledger, all or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select, update

from glimpse.ledger.changes import attachments
from glimpse.ledger.database import schema
from glimpse.ledger.database.row_mapping import example_record
from glimpse.ledger.database.transactions import Transaction
from glimpse.ledger.errors import ContentExists, NotFound
from glimpse.ledger.records import ExampleRecord
from glimpse.ledger.writes import originals

_examples = schema.examples.c


@dataclass(frozen=True, slots=True)
class Updated:
    """The result of an update.

    Attributes:
        examples: the examples that changed, as they are now. Each has the vector that it was enrolled with.
        revision: revision of the change; that of the collection's last change if no example changed.
    """

    examples: Sequence[ExampleRecord]
    revision: int


class ExampleWriter(Transaction):
    """The writes that change enrolled examples. Use them through `Writer`."""

    def update_examples(self, collection_id: str, example_ids: Sequence[str], values: Mapping[str, Any]) -> Updated:
        """Stores new values of examples. Examples that have these values already do not change.

        Args:
            collection_id: the collection.
            example_ids: distinct ids of its examples, at most some hundreds.
            values: `label_id`, `domain`, `metadata` and `group` of ExampleRecord, or some of them. The label exists.

        Raises:
            NotFound: an example does not exist.
            ContentExists: an example with the same content has the new label.
        """
        before = self._read(collection_id, example_ids)
        changed = [now for example in before if (now := replace(example, **values)) != example]
        if "label_id" in values:
            self._check_contents(collection_id, values["label_id"], before)
        if not changed:
            columns = schema.collections.c
            query = select(columns.revision).where(columns.id == collection_id)
            return Updated((), int(self.connection.execute(query).scalar_one()))
        these = _examples.sequence.in_([example.sequence for example in changed])
        self.connection.execute(update(schema.examples).where(these).values(dict(values)))
        subject: dict[str, Any] = {"examples": [example.id for example in changed], "fields": sorted(values)}
        if "label_id" in values:
            subject["label"] = values["label_id"]
        subject["digests"] = [example.digest for example in changed]
        return Updated(changed, self.append("update_examples", collection_id, subject))

    def delete_examples(self, collection_id: str, example_ids: Sequence[str], rows: Sequence[int] = ()) -> int:
        """Deletes enrolled examples, and rows of the collection's index; returns the revision.

        Args:
            collection_id: the collection.
            example_ids: distinct ids of its enrolled examples, at most some hundreds.
            rows: rows of its index, none of them deleted already.

        Raises:
            NotFound: an example does not exist.
        """
        if example_ids:
            these = _examples.id.in_(example_ids)
            originals.delete_unused(self.connection, collection_id, these)
            result = self.connection.execute(
                delete(schema.examples).where(_examples.collection_id == collection_id, these)
            )
            if result.rowcount != len(example_ids):
                raise NotFound(f"collection {collection_id!r} lacks some of the examples")
        attachments.mark_deleted(self.connection, collection_id, rows)
        subject = {"examples": [*example_ids], "rows": attachments.spans(rows)}
        return self.append("delete_examples", collection_id, subject)

    def _read(self, collection_id: str, example_ids: Sequence[str]) -> list[ExampleRecord]:
        """Returns the examples in the order of their ids, with their own vectors. Raises NotFound."""
        query = select(schema.examples).where(_examples.collection_id == collection_id, _examples.id.in_(example_ids))
        records = {row.id: example_record(row) for row in self.connection.execute(query)}
        for example_id in example_ids:
            if example_id not in records:
                raise NotFound(f"there is no example {example_id!r}")
        return [records[example_id] for example_id in example_ids]

    def _check_contents(self, collection_id: str, label_id: str, examples: Sequence[ExampleRecord]) -> None:
        """Checks that each content has the label once after the update. Raises ContentExists."""
        query = select(_examples.content_digest, _examples.id).where(
            _examples.collection_id == collection_id,
            _examples.label_id == label_id,
            _examples.content_digest.in_([example.content_digest for example in examples]),
        )
        with_label: dict[str, str] = {row.content_digest: row.id for row in self.connection.execute(query)}
        for example in examples:
            if (other := with_label.setdefault(example.content_digest, example.id)) != example.id:
                raise ContentExists(example.id, other, label_id)
