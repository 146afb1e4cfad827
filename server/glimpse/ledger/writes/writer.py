"""The ledger's writes."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from sqlalchemy import delete, insert, select, update

from glimpse.ledger.changes import attachments
from glimpse.ledger.database import schema
from glimpse.ledger.database.row_mapping import changeable, label_row
from glimpse.ledger.errors import AlreadyExists, NotFound
from glimpse.ledger.records import AttachmentRecord, CollectionRecord, LabelRecord
from glimpse.ledger.reembedding import reads
from glimpse.ledger.reembedding.writes import ReembeddingWriter
from glimpse.ledger.writes import keys, originals
from glimpse.ledger.writes.enrollment import EnrollmentWriter, existing_labels
from glimpse.ledger.writes.keys import KeyRecord


class Writer(EnrollmentWriter, ReembeddingWriter):
    """The writes of one transaction; each returns the revision it made. Any that raises ends the transaction."""

    def create_collection(self, record: CollectionRecord) -> CollectionRecord:
        """Adds a collection; returns it with its revision and times. Raises AlreadyExists."""
        if self._is_there(record.id):
            raise AlreadyExists(f"collection {record.id!r} exists")
        revision = self.append("create_collection", record.id)
        record = replace(record, revision=revision, create_time=self.now, update_time=self.now)
        self.connection.execute(insert(schema.collections).values(asdict(record)))
        return record

    def update_collection(self, record: CollectionRecord) -> CollectionRecord:
        """Stores a collection's display name, policy, use of names and pinned head. Raises NotFound."""
        record, there = replace(record, update_time=self.now), schema.collections
        found = self.connection.execute(update(there).where(there.c.id == record.id).values(changeable(record)))
        self.require_one_row(found.rowcount, f"collection {record.id!r}")
        return replace(record, revision=self.append("update_collection", record.id))

    def delete_collection(self, collection_id: str) -> int:
        """Deletes a collection and all that is in it; returns the revision. Raises NotFound."""
        there = schema.collections
        found = self.connection.execute(delete(there).where(there.c.id == collection_id))
        self.require_one_row(found.rowcount, f"collection {collection_id!r}")
        return self.append("delete_collection", collection_id)

    def create_label(self, collection_id: str, record: LabelRecord) -> tuple[LabelRecord, int]:
        """Adds a label; returns it with its times, and the revision. Raises AlreadyExists and NotFound."""
        self._check_there(collection_id)
        added = self._add_labels(collection_id, [record])
        if not added:
            raise AlreadyExists(f"label {record.id!r} exists in collection {collection_id!r}")
        return added[0], self.append("create_label", collection_id, {"label": record.id})

    def update_label(self, collection_id: str, record: LabelRecord) -> tuple[LabelRecord, int]:
        """Stores a label's display name and prompts; returns it and the revision. Raises NotFound."""
        record, there = replace(record, update_time=self.now), schema.labels
        this = (there.c.collection_id == collection_id, there.c.id == record.id)
        if self.connection.scalar(select(there.c.prompts).where(*this)) != list(record.prompts):
            reads.delete_reembedded_prompts(self.connection, collection_id, record.id)
        found = self.connection.execute(update(there).where(*this).values(label_row(collection_id, record)))
        self.require_one_row(found.rowcount, f"label {record.id!r}")
        return record, self.append("update_label", collection_id, {"label": record.id})

    def delete_label(self, collection_id: str, label_id: str, rows: Sequence[int] = ()) -> int:
        """Deletes a label, its examples and its rows of the index; returns the revision. Raises NotFound."""
        there = schema.labels
        this = (there.c.collection_id == collection_id, there.c.id == label_id)
        originals.delete_unused(self.connection, collection_id, schema.examples.c.label_id == label_id)
        self.require_one_row(self.connection.execute(delete(there).where(*this)).rowcount, f"label {label_id!r}")
        attachments.mark_deleted(self.connection, collection_id, rows)
        return self.append("delete_label", collection_id, {"label": label_id, "rows": attachments.spans(rows)})

    def delete_example(self, collection_id: str, example_id: str) -> int:
        """Deletes an example; returns the revision. Raises NotFound."""
        there = schema.examples
        this = (there.c.collection_id == collection_id, there.c.id == example_id)
        originals.delete_unused(self.connection, collection_id, there.c.id == example_id)
        self.require_one_row(self.connection.execute(delete(there).where(*this)).rowcount, f"example {example_id!r}")
        return self.append("delete_example", collection_id, {"example": example_id})

    def attach(
        self, collection_id: str, record: AttachmentRecord, labels: Sequence[LabelRecord]
    ) -> tuple[list[LabelRecord], int]:
        """Puts an index under a collection that has none, with those of its labels that are not there yet.

        Returns the labels that were added, and the revision. Raises NotFound.
        """
        self._check_there(collection_id)
        added = self._add_labels(collection_id, labels)
        attachments.put(self.connection, collection_id, record)
        subject = {"index": record.index_id, "digest": record.digest, "labels": [label.id for label in added]}
        return added, self.append("attach", collection_id, subject)

    def detach(self, collection_id: str) -> int:
        """Takes a collection's index away; returns the revision. Raises NotFound."""
        self.require_one_row(int(attachments.remove(self.connection, collection_id)), f"index under {collection_id!r}")
        return self.append("detach", collection_id)

    def replace_index(self, collection_id: str, record: AttachmentRecord, last: int, rows: Sequence[int]) -> int:
        """Puts an index in the place of another that it holds, with the examples up to a sequence number.

        `rows`: of the new one, deleted already. Returns the revision. Raises NotFound.
        """
        self.require_one_row(int(attachments.remove(self.connection, collection_id)), f"index under {collection_id!r}")
        attachments.put(self.connection, collection_id, record)
        attachments.mark_deleted(self.connection, collection_id, rows)
        there = schema.examples.c
        held = (there.collection_id == collection_id, there.sequence <= last)
        originals.delete_unused(self.connection, collection_id, there.sequence <= last)
        self.connection.execute(delete(schema.examples).where(*held))
        subject = {"index": record.index_id, "digest": record.digest, "last": last, "rows": attachments.spans(rows)}
        return self.append("replace_index", collection_id, subject)

    def create_key(self, record: KeyRecord) -> KeyRecord:
        """Adds an API key; returns it with its time. Raises AlreadyExists."""
        record = replace(record, create_time=self.now)
        keys.create(self.connection, record)
        self.append("create_key", "", {"key": record.name})
        return record

    def revoke_key(self, name: str) -> int:
        """Ends an API key for good, once; returns the revision. Raises NotFound."""
        if not keys.revoke(self.connection, name, self.now):
            return self.head.revision
        return self.append("revoke_key", "", {"key": name})

    def tombstone(self, collection_id: str, row: int) -> int:
        """Deletes a row of a collection's index; returns the revision."""
        attachments.mark_deleted(self.connection, collection_id, [row])
        return self.append("delete_row", collection_id, {"row": row})

    def _add_labels(self, collection_id: str, labels: Sequence[LabelRecord]) -> list[LabelRecord]:
        """Inserts those labels that are not there; returns them."""
        there = existing_labels(self.connection, collection_id, (label.id for label in labels))
        new = [label for label in labels if label.id not in there]
        added = [replace(label, create_time=self.now, update_time=self.now) for label in new]
        if added:
            self.connection.execute(insert(schema.labels), [label_row(collection_id, label) for label in added])
        return added

    def _is_there(self, collection_id: str) -> bool:
        there = schema.collections.c.id
        return self.connection.scalar(select(there).where(there == collection_id)) is not None

    def _check_there(self, collection_id: str) -> None:
        if not self._is_there(collection_id):
            raise NotFound(f"there is no collection {collection_id!r}")
