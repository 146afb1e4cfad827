"""Applies the ledger's changes to the views of the collections.

The subject of a change may have changed again since, or may be deleted; later changes record that. So each
change is applied only as far as it still holds. A change that a view already contains has no effect.
"""

from collections.abc import Callable
from dataclasses import replace

from glimpse.ledger import Change, CollectionRecord, Delta, ExampleRecord, ReembeddingRecord
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress

#: Kinds of change that replace a collection's index or backbone: its view is built again.
_REBUILDING = {"attach", "detach", "replace_index", "switch_backbone"}


class ChangeApplier:
    """Applies one delta to the views. Use it in the event loop's thread only."""

    def __init__(
        self, views: dict[str, CollectionView], delta: Delta, changed: Callable[[CollectionView], None]
    ) -> None:
        """Prepares to apply `delta`.

        Args:
            views: The views by collection id; `apply` adds and removes entries.
            delta: The changes, with the current records of their subjects.
            changed: Called with a view after its examples or labels change.
        """
        self._views, self._delta, self._changed = views, delta, changed
        #: Ids of the collections whose views must be built again: their index or embedding space is another one.
        self.rebuild = {name for name, record in delta.collections.items() if self._has_other_space(record)}

    def apply(self) -> None:
        """Brings the views to the end of the delta, except those in `rebuild`."""
        for change in self._delta.changes:
            view = self._views.get(change.collection_id)
            if change.collection_id in self.rebuild and change.kind != "delete_collection":
                continue
            match change.kind:
                case "create_collection" | "update_collection":
                    self._put_collection(change.collection_id, view)
                case "delete_collection":
                    self._views.pop(change.collection_id, None)
                    self.rebuild.discard(change.collection_id)
                case kind if kind in _REBUILDING and view:
                    self.rebuild.add(change.collection_id)
                case _ if view:
                    self._apply(change, view)
            if view := self._views.get(change.collection_id):
                view.set_revision(max(view.record.revision, change.revision))

    def _has_other_space(self, record: CollectionRecord) -> bool:
        view = self._views.get(record.id)
        return view is not None and view.record.embedding_space != record.embedding_space

    def _put_collection(self, collection_id: str, view: CollectionView | None) -> None:
        record = self._delta.collections.get(collection_id)
        if record is None:
            return
        # Another creation time: the collection was deleted, and another one has its id.
        if view is None or view.record.create_time != record.create_time:
            self._views[collection_id] = CollectionView(record, self._changed)
        else:
            view.update_record(record)

    def _apply(self, change: Change, view: CollectionView) -> None:
        subject = change.subject
        match change.kind:
            case "enroll":
                for label_id in subject.get("labels", ()):
                    self._put_label(view, label_id)
                self._add_examples(view, [*subject.get("examples", ()), *subject.get("shown", ())])
                if "originals" in subject:
                    view.reembedding_progress = ReembeddingProgress()
            case "start_migration":
                view.reembedding = ReembeddingRecord.from_stored(subject["shadow"])
                view.reembedding_progress = ReembeddingProgress()
            case "end_migration" if view.reembedding:
                view.reembedding, view.reembedding_report = replace(view.reembedding, switches=-1), None
            case "fold_shadow" if subject["done"]:
                view.reembedding = None
            case "create_label" | "update_label":
                self._put_label(view, subject["label"])
            case "delete_label" if subject["label"] in view.labels:
                view.remove_label(subject["label"])
            case "delete_example" if view.examples.find(subject["example"]) is not None:
                view.remove_examples([subject["example"]])
            case "update_examples":
                self._update_examples(view, subject["examples"])
            case "delete_examples":
                present = [example for example in subject["examples"] if view.examples.find(example) is not None]
                view.remove_examples(present)
                for first, last in subject["rows"]:
                    for row in range(first, last + 1):
                        self._remove_row(view, row)
            case "delete_row":
                self._remove_row(view, subject["row"])

    def _put_label(self, view: CollectionView, label_id: str) -> None:
        record, current = self._delta.labels.get((view.record.id, label_id)), view.labels.get(label_id)
        if record is None or record == current:
            return
        if current and current.create_time != record.create_time:  # deleted, and created again under the same id
            view.remove_label(label_id)
        view.put_label(record)

    def _add_examples(self, view: CollectionView, example_ids: list[str]) -> None:
        new: list[ExampleRecord] = []
        for example_id in example_ids:
            record = self._delta.examples.get((view.record.id, example_id))
            if record is None or view.examples.find(example_id) is not None:
                continue
            if record.label_id not in view.labels:
                self._put_label(view, record.label_id)
            new.append(record)
        view.add_examples(new)

    def _update_examples(self, view: CollectionView, example_ids: list[str]) -> None:
        changed: list[ExampleRecord] = []
        for example_id in example_ids:
            record, id = self._delta.examples.get((view.record.id, example_id)), view.examples.find(example_id)
            if id is not None and not view.examples.is_enrolled(id):  # a later compaction moved it into the index
                continue
            if record is None and id is not None:
                # A later change deletes it, perhaps with a label that it does not have in the view.
                view.remove_examples([example_id])
            elif record and id is None:  # a snapshot may lack it, or it went with a label that it had for a while
                self._add_examples(view, [example_id])
            elif record:
                if record.label_id not in view.labels:
                    self._put_label(view, record.label_id)
                changed.append(record)
        view.update_examples(changed)

    def _remove_row(self, view: CollectionView, row: int) -> None:
        index = view.examples.attached_index
        if index and (example := view.examples.example(index.first + row)):
            view.remove_examples([example[0]])
