"""The ledger's reads and writes of the index under a collection."""

from collections.abc import Sequence

from sqlalchemy import delete

from glimpse.ledger import attachments, schema
from glimpse.ledger.changes import Changes
from glimpse.ledger.enrollment import add_labels, revision_of
from glimpse.ledger.records import AttachmentRecord, LabelRecord


class AttachingLedger(Changes):
    """See Ledger."""

    def attach(
        self, collection_id: str, record: AttachmentRecord, labels: Sequence[LabelRecord]
    ) -> tuple[list[LabelRecord], int]:
        """Puts an index under a collection that has none, with those of its labels that are not there yet.

        Returns the labels that were added, and the revision. Raises NotFound.
        """
        with self._change("attach", collection_id, {"index": record.index_id}) as (connection, revision, now):
            revision_of(connection, collection_id)
            added = add_labels(connection, collection_id, labels, now)
            attachments.put(connection, collection_id, record)
        return added, revision

    def detach(self, collection_id: str) -> int:
        """Takes a collection's index away; returns the revision. Raises NotFound."""
        with self._change("detach", collection_id) as (connection, revision, _now):
            self._must_touch(int(attachments.remove(connection, collection_id)), f"index under {collection_id!r}")
        return revision

    def replace_index(self, collection_id: str, record: AttachmentRecord, last: int, rows: Sequence[int]) -> int:
        """Puts an index in the place of another that it holds, with the examples up to a sequence number.

        `rows`: of the new one, deleted already. Returns the revision. Raises NotFound.
        """
        with self._change("replace_index", collection_id, {"index": record.index_id}) as (connection, revision, _now):
            self._must_touch(int(attachments.remove(connection, collection_id)), f"index under {collection_id!r}")
            attachments.put(connection, collection_id, record)
            attachments.bury(connection, collection_id, rows)
            there = schema.examples.c
            connection.execute(
                delete(schema.examples).where(there.collection_id == collection_id, there.sequence <= last)
            )
        return revision

    def bury(self, collection_id: str, row: int) -> int:
        """Deletes a row of a collection's index; returns the revision."""
        with self._change("delete_row", collection_id, {"row": row}) as (connection, revision, _now):
            attachments.bury(connection, collection_id, [row])
        return revision

    def attachment(self, collection_id: str) -> tuple[AttachmentRecord, list[int]] | None:
        """The index of a collection and its deleted rows, ascending; None: it has none."""
        with self._engine.connect() as connection:
            record = attachments.find(connection, collection_id)
            return (record, attachments.buried(connection, collection_id)) if record else None
