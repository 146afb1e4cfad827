"""All writes of the ledger."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import and_, delete, insert, select, update

from glimpse.ledger.changes import attachments
from glimpse.ledger.database import schema
from glimpse.ledger.database.deleted_bytes import zeroing
from glimpse.ledger.database.row_mapping import changeable, label_row
from glimpse.ledger.errors import AlreadyExists, NotFound
from glimpse.ledger.records import AttachmentRecord, CollectionRecord, LabelRecord
from glimpse.ledger.reembedding import reads
from glimpse.ledger.reembedding.writes import ReembeddingWriter
from glimpse.ledger.review.deletion import CONTENT_TABLES, delete_queue
from glimpse.ledger.review.resolution import ResolutionRows, Resolve, Resolved, Undone
from glimpse.ledger.review.resolving import Resolution
from glimpse.ledger.review.undoing import undo
from glimpse.ledger.writes import keys, originals
from glimpse.ledger.writes.enrollment import EnrollmentWriter, existing_labels
from glimpse.ledger.writes.examples import ExampleWriter
from glimpse.ledger.writes.keys import KeyRecord


class Writer(EnrollmentWriter, ExampleWriter, ReembeddingWriter):
    """The writes of one transaction. Each returns the revision that it made; one that raises ends the transaction."""

    def create_collection(self, record: CollectionRecord) -> CollectionRecord:
        """Adds a collection; returns it with its revision and times. Raises AlreadyExists."""
        if self._exists(record.id):
            raise AlreadyExists(f"collection {record.id!r} exists")
        revision = self.append("create_collection", record.id)
        record = replace(record, revision=revision, create_time=self.now, update_time=self.now)
        self.connection.execute(insert(schema.collections).values(asdict(record)))
        return record

    def update_collection(self, record: CollectionRecord) -> CollectionRecord:
        """Stores a collection's display name, policy, use of names and pinned head. Raises NotFound."""
        record, table = replace(record, update_time=self.now), schema.collections
        result = self.connection.execute(update(table).where(table.c.id == record.id).values(changeable(record)))
        self.require_one_row(result.rowcount, f"collection {record.id!r}")
        return replace(record, revision=self.append("update_collection", record.id))

    def delete_collection(self, collection_id: str) -> int:
        """Deletes a collection with its content; returns the revision. Raises NotFound."""
        table = schema.collections
        with zeroing(self.connection):
            if delete_queue(self.connection, collection_id):
                self.erased = CONTENT_TABLES
        result = self.connection.execute(delete(table).where(table.c.id == collection_id))
        self.require_one_row(result.rowcount, f"collection {collection_id!r}")
        return self.append("delete_collection", collection_id)

    def create_label(self, collection_id: str, record: LabelRecord) -> tuple[LabelRecord, int]:
        """Adds a label; returns it with its times, and the revision. Raises AlreadyExists and NotFound."""
        self._require_collection(collection_id)
        added = self._add_labels(collection_id, [record])
        if not added:
            raise AlreadyExists(f"label {record.id!r} exists in collection {collection_id!r}")
        return added[0], self.append("create_label", collection_id, {"label": record.id})

    def update_label(self, collection_id: str, record: LabelRecord) -> tuple[LabelRecord, int]:
        """Stores a label's display name and prompts; returns it and the revision. Raises NotFound."""
        record, table = replace(record, update_time=self.now), schema.labels
        this = (table.c.collection_id == collection_id, table.c.id == record.id)
        if self.connection.scalar(select(table.c.prompts).where(*this)) != list(record.prompts):
            reads.delete_reembedded_prompts(self.connection, collection_id, record.id)
        result = self.connection.execute(update(table).where(*this).values(label_row(collection_id, record)))
        self.require_one_row(result.rowcount, f"label {record.id!r}")
        return record, self.append("update_label", collection_id, {"label": record.id})

    def delete_label(self, collection_id: str, label_id: str, rows: Sequence[int] = ()) -> int:
        """Deletes a label, its examples and its rows of the index; returns the revision. Raises NotFound."""
        table = schema.labels
        this = (table.c.collection_id == collection_id, table.c.id == label_id)
        originals.delete_unused(self.connection, collection_id, schema.examples.c.label_id == label_id)
        self.require_one_row(self.connection.execute(delete(table).where(*this)).rowcount, f"label {label_id!r}")
        attachments.mark_deleted(self.connection, collection_id, rows)
        return self.append("delete_label", collection_id, {"label": label_id, "rows": attachments.spans(rows)})

    def delete_example(self, collection_id: str, example_id: str) -> int:
        """Deletes an example; returns the revision. Raises NotFound."""
        table = schema.examples
        this = (table.c.collection_id == collection_id, table.c.id == example_id)
        originals.delete_unused(self.connection, collection_id, table.c.id == example_id)
        self.require_one_row(self.connection.execute(delete(table).where(*this)).rowcount, f"example {example_id!r}")
        return self.append("delete_example", collection_id, {"example": example_id})

    def attach(
        self, collection_id: str, record: AttachmentRecord, labels: Sequence[LabelRecord]
    ) -> tuple[list[LabelRecord], int]:
        """Attaches an index to a collection that has none, and adds the labels that do not exist yet.

        Returns:
            The added labels, and the revision.

        Raises:
            NotFound: the collection does not exist.
        """
        self._require_collection(collection_id)
        added = self._add_labels(collection_id, labels)
        attachments.put(self.connection, collection_id, record)
        subject = {"index": record.index_id, "digest": record.digest, "labels": [label.id for label in added]}
        return added, self.append("attach", collection_id, subject)

    def detach(self, collection_id: str) -> int:
        """Detaches a collection's index; returns the revision. Raises NotFound."""
        self.require_one_row(int(attachments.remove(self.connection, collection_id)), f"index under {collection_id!r}")
        return self.append("detach", collection_id)

    def replace_index(
        self,
        collection_id: str,
        record: AttachmentRecord,
        last: int,
        rows: Sequence[int],
        kept: Sequence[int] = (),
    ) -> int:
        """Replaces a collection's index by one that also contains its examples up to a sequence number.

        Args:
            record: the new index.
            last: the sequence number of the last example in it; those examples are deleted.
            rows: rows of the new index that are deleted already.
            kept: sequence numbers up to `last` of examples that stay, at most some thousands; `rows` has their rows.

        Returns:
            The revision.

        Raises:
            NotFound: the collection has no index.
        """
        self.require_one_row(int(attachments.remove(self.connection, collection_id)), f"index under {collection_id!r}")
        attachments.put(self.connection, collection_id, record)
        attachments.mark_deleted(self.connection, collection_id, rows)
        table = schema.examples.c
        compacted = table.sequence <= last
        if kept:
            compacted = and_(compacted, table.sequence.not_in(kept))
        originals.delete_unused(self.connection, collection_id, compacted)
        self.connection.execute(delete(schema.examples).where(table.collection_id == collection_id, compacted))
        subject: dict[str, Any] = {"index": record.index_id, "digest": record.digest, "last": last}
        subject["rows"] = attachments.spans(rows)
        if kept:
            subject["kept"] = [*kept]
        return self.append("replace_index", collection_id, subject)

    def create_key(self, record: KeyRecord) -> KeyRecord:
        """Adds an API key; returns it with its creation time. Raises AlreadyExists."""
        record = replace(record, create_time=self.now)
        keys.create(self.connection, record)
        self.append("create_key", "", {"key": record.name})
        return record

    def revoke_key(self, name: str) -> int:
        """Revokes an API key; returns the revision. Raises NotFound."""
        if not keys.revoke(self.connection, name, self.now):
            return self.head.revision
        return self.append("revoke_key", "", {"key": name})

    def tombstone(self, collection_id: str, row: int) -> int:
        """Deletes a row of a collection's index; returns the revision."""
        attachments.mark_deleted(self.connection, collection_id, [row])
        return self.append("delete_row", collection_id, {"row": row})

    def resolve_review(self, resolve: Resolve) -> Resolved | bytes:
        """Resolves review items: enrolls them as a change of the actor, or only takes them from the queue.

        Items with much content are enrolled by several changes. All of it is one transaction.

        Returns:
            What happened to each item, or the stored response if the request was answered before.

        Raises:
            NotFound: the collection or the label does not exist.
            AlreadyExists: the new label exists.
            ReviewGroupChanged: an expected item does not wait.
            RequestIdReused: the request id was used with other content.
        """
        with zeroing(self.connection):
            return Resolution(self, resolve).run()

    def undo_review(
        self, collection_id: str, resolution_id: str, actor: str = "", indexed: ResolutionRows | None = None
    ) -> Undone:
        """Takes a resolution back: deletes what it enrolled, and returns its items to the queue.

        Items that have expired stay gone. An example that was there before stays. The label that the resolution created
        is deleted if it is empty.

        Args:
            collection_id: the collection.
            resolution_id: the resolution.
            actor: name of the caller's key.
            indexed: the rows of the collection's index that matter to the resolution; None: there are none.

        Raises:
            NotFound: the resolution does not exist.
            ResolutionChanged: somebody changed what it enrolled; nothing is undone.
        """
        self.actor = actor
        with zeroing(self.connection):
            return undo(self, collection_id, resolution_id, indexed or ResolutionRows())

    def _add_labels(self, collection_id: str, labels: Sequence[LabelRecord]) -> list[LabelRecord]:
        """Inserts the labels that do not exist; returns them."""
        existing = existing_labels(self.connection, collection_id, (label.id for label in labels))
        new = [label for label in labels if label.id not in existing]
        added = [replace(label, create_time=self.now, update_time=self.now) for label in new]
        if added:
            self.connection.execute(insert(schema.labels), [label_row(collection_id, label) for label in added])
        return added

    def _exists(self, collection_id: str) -> bool:
        table = schema.collections.c.id
        return self.connection.scalar(select(table).where(table == collection_id)) is not None

    def _require_collection(self, collection_id: str) -> None:
        if not self._exists(collection_id):
            raise NotFound(f"there is no collection {collection_id!r}")
