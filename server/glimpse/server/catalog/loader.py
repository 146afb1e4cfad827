"""Builds a collection's view from the ledger, or from a snapshot and the changes since."""

import itertools
import logging
from collections.abc import Iterable, Iterator

from glimpse.ledger import AttachmentRecord, CollectionRecord, ExampleRecord, Head, LabelRecord, Ledger
from glimpse.server.catalog.apply_changes import ChangeApplier
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.errors import RequestError
from glimpse.server.snapshots import Snapshots

logger = logging.getLogger(__name__)
# Examples read from the ledger in one batch.
_BATCH = 1_000


class Loader:
    """Builds views that report to nobody yet. Its methods block, and may be called in any thread."""

    def __init__(self, ledger: Ledger, indexes: IndexDirectory) -> None:
        """Reads from `ledger`, and opens attached indexes in `indexes`."""
        self._ledger, self._indexes = ledger, indexes

    def load_at_start(self, record: CollectionRecord, head: Head, snapshots: Snapshots) -> CollectionView:
        """Builds a view when the server starts, from a usable snapshot if there is one.

        Args:
            record: The collection, read at `head` or later.
            head: The ledger's head. The view may be newer.
            snapshots: The snapshots to look in.

        Raises:
            LedgerUnavailable: The ledger cannot be read.
        """
        if not snapshots.exists(record.id):  # the usual case on a server with thousands of small collections
            return self.load(record)
        ledger, attachment = self._ledger, self._ledger.attachment(record.id)
        index_record = attachment[0] if attachment else None
        loaded = snapshots.load(record, ledger.labels(record.id), index_record, head, ledger.digest)
        if loaded is None:
            return self.load(record)
        revision, views = loaded.revision, {record.id: loaded.view}
        # The record holds the revision of the collection's last change; a snapshot of that one misses nothing.
        while loaded.revision < record.revision and (delta := ledger.since(revision, record.id)).changes:
            applier = ChangeApplier(views, delta, lambda _: None)
            applier.apply()
            if applier.rebuild or views.get(record.id) is not loaded.view:
                return self.load(record)
            revision = delta.changes[-1].revision
        loaded.view.reembedding = ledger.reembedding_record(record.id)
        return self._with_index(loaded.view, attachment)

    def load(self, record: CollectionRecord) -> CollectionView:
        """Builds a view from the ledger. Raises LedgerUnavailable.

        Everything is read in one transaction, so that all vectors are in the same embedding space.
        """
        with self._ledger.consistent_view() as ledger:
            view = CollectionView(ledger.collection(record.id) or record)
            view.reembedding = ledger.reembedding_record(record.id)
            _fill(view, ledger.labels(record.id), ledger.examples(record.id))
            attachment = ledger.attachment(record.id)
        return self._with_index(view, attachment)

    def load_reembedded(self, record: CollectionRecord, switches: int) -> CollectionView:
        """Builds a view from the vectors of a re-embedding that has not been switched to.

        Args:
            record: The collection as it would be after the switch.
            switches: How often the collection was switched when the caller read the re-embedding.

        Raises:
            NotFound: The re-embedding ended, or the collection was switched.
            LedgerUnavailable: The ledger cannot be read.
        """
        view = CollectionView(record)
        with self._ledger.reembedding(record.id, switches) as reembedded:
            _fill(view, reembedded.labels(), reembedded.examples())
        return view

    def _with_index(
        self, view: CollectionView, attachment: tuple[AttachmentRecord, list[int]] | None
    ) -> CollectionView:
        """Attaches the collection's index to its view; the view has a `problem` if the index is unusable."""
        if attachment:
            try:
                view.attach(*self._indexes.reopen(view.record, *attachment))
            except RequestError as problem:
                logger.error("collection %s cannot be used: %s", view.record.id, problem)
                view.problem, view.missing_index_id = problem, attachment[0].index_id
        return view


def _fill(view: CollectionView, labels: Iterable[LabelRecord], examples: Iterator[ExampleRecord]) -> None:
    for label in labels:
        view.put_label(label)
    while batch := list(itertools.islice(examples, _BATCH)):
        view.add_examples(batch)
