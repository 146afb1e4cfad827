"""A collection's view from what is stored: of a snapshot and what has changed since, or of the ledger."""

import itertools
import logging
from collections.abc import Iterable, Iterator

from glimpse.ledger import AttachmentRecord, CollectionRecord, ExampleRecord, Head, LabelRecord, Ledger
from glimpse.server.catalog.apply_changes import ChangeApplier
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import Indexes
from glimpse.server.errors import RequestError
from glimpse.server.snapshots import Snapshots

logger = logging.getLogger(__name__)
# Examples taken from the ledger at a time.
_BATCH = 1_000


class Loader:
    """Makes views that nobody watches yet. Blocking; for any thread. All raise LedgerUnavailable."""

    def __init__(self, ledger: Ledger, indexes: Indexes) -> None:
        self._ledger, self._indexes = ledger, indexes

    def begin(self, record: CollectionRecord, head: Head, snapshots: Snapshots) -> CollectionView:
        """A view at the server's start: from a snapshot where there is one to go by. It may be past `head`."""
        if not snapshots.any_of(record.id):  # as of most, where there are thousands of small collections
            return self.load(record)
        ledger, attached = self._ledger, self._ledger.attachment(record.id)
        below = attached[0] if attached else None
        loaded = snapshots.load(record, ledger.labels(record.id), below, head, ledger.digest)
        if loaded is None:
            return self.load(record)
        revision, views = loaded.revision, {record.id: loaded.view}
        # What a collection's last change was says whether any came.
        while loaded.revision < record.revision and (delta := ledger.since(revision, record.id)).changes:
            follower = ChangeApplier(views, delta, lambda _: None)
            follower.apply()
            if follower.rebuild or views.get(record.id) is not loaded.view:
                return self.load(record)
            revision = delta.changes[-1].revision
        loaded.view.shadow = ledger.reembedding_record(record.id)
        return self._attached(loaded.view, attached)

    def load(self, record: CollectionRecord) -> CollectionView:
        """A view as the ledger has it. All is of one moment: its vectors are of one space then."""
        with self._ledger.consistent_view() as ledger:
            view = CollectionView(ledger.collection(record.id) or record)
            view.shadow = ledger.reembedding_record(record.id)
            _fill(view, ledger.labels(record.id), ledger.examples(record.id))
            attached = ledger.attachment(record.id)
        return self._attached(view, attached)

    def load_shadow(self, record: CollectionRecord, switches: int) -> CollectionView:
        """A view of a collection by its other side's vectors; `record` is as it would be then."""
        view = CollectionView(record)
        with self._ledger.reembedding(record.id, switches) as shadow:
            _fill(view, shadow.labels(), shadow.examples())
        return view

    def _attached(self, view: CollectionView, attached: tuple[AttachmentRecord, list[int]] | None) -> CollectionView:
        """A view with the index that its collection stands on, if that can be had."""
        if attached:
            try:
                view.attach(*self._indexes.reopen(view.record, *attached))
            except RequestError as problem:
                logger.error("collection %s cannot be used: %s", view.record.id, problem)
                view.problem, view.lost_index = problem, attached[0].index_id
        return view


def _fill(view: CollectionView, labels: Iterable[LabelRecord], examples: Iterator[ExampleRecord]) -> None:
    for label in labels:
        view.put_label(label)
    while batch := list(itertools.islice(examples, _BATCH)):
        view.add_examples(batch)
