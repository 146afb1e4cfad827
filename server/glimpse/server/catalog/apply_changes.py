"""Applying changes that others made to the views: each subject is brought to what it is now.

What a change is about may have changed again since, or be gone; the changes that say so come later. So each is applied
as far as it still holds, and one that a view has already, because it was built later, changes nothing.
"""

from collections.abc import Callable
from dataclasses import replace

from glimpse.ledger import Change, CollectionRecord, Delta, ExampleRecord, ReembeddingRecord
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress

#: What changes which index a collection stands on, or its backbone: its view is built anew.
_REBUILDING = {"attach", "detach", "replace_index", "switch_backbone"}


class ChangeApplier:
    """What a delta does to the views. For the event loop's thread alone."""

    def __init__(
        self, views: dict[str, CollectionView], delta: Delta, changed: Callable[[CollectionView], None]
    ) -> None:
        self._views, self._delta, self._changed = views, delta, changed
        #: Of the collections that stand on another index now, or are of another space, as the delta's vectors are.
        self.rebuild = {name for name, record in delta.collections.items() if self._is_of_another_space(record)}

    def apply(self) -> None:
        """Brings the views to the delta's end, but for those to `rebuild`."""
        for change in self._delta.changes:
            view = self._views.get(change.collection_id)
            if change.collection_id in self.rebuild and change.kind != "delete_collection":
                continue
            match change.kind:
                case "create_collection" | "update_collection":
                    self._put(change.collection_id, view)
                case "delete_collection":
                    self._views.pop(change.collection_id, None)
                    self.rebuild.discard(change.collection_id)
                case kind if kind in _REBUILDING and view:
                    self.rebuild.add(change.collection_id)
                case _ if view:
                    self._apply(change, view)
            if view := self._views.get(change.collection_id):
                view.moved_to(max(view.record.revision, change.revision))

    def _is_of_another_space(self, record: CollectionRecord) -> bool:
        view = self._views.get(record.id)
        return view is not None and view.record.embedding_space != record.embedding_space

    def _put(self, collection_id: str, view: CollectionView | None) -> None:
        record = self._delta.collections.get(collection_id)
        if record is None:
            return
        if view is None or view.record.create_time != record.create_time:  # another of the same id
            self._views[collection_id] = CollectionView(record, self._changed)
        else:
            view.put_record(record)

    def _apply(self, change: Change, view: CollectionView) -> None:
        subject = change.subject
        match change.kind:
            case "enroll":
                for label_id in subject.get("labels", ()):
                    self._put_label(view, label_id)
                self._add(view, [*subject.get("examples", ()), *subject.get("shown", ())])
                if "originals" in subject:
                    view.reached = ReembeddingProgress()
            case "start_migration":
                view.shadow, view.reached = ReembeddingRecord.from_stored(subject["shadow"]), ReembeddingProgress()
            case "end_migration" if view.shadow:
                view.shadow, view.measured = replace(view.shadow, switches=-1), None
            case "fold_shadow" if subject["done"]:
                view.shadow = None
            case "create_label" | "update_label":
                self._put_label(view, subject["label"])
            case "delete_label" if subject["label"] in view.labels:
                view.drop_label(subject["label"])
            case "delete_example" if view.examples.find(subject["example"]) is not None:
                view.drop_example(subject["example"])
            case "delete_row":
                self._drop_row(view, subject["row"])

    def _put_label(self, view: CollectionView, label_id: str) -> None:
        record, there = self._delta.labels.get((view.record.id, label_id)), view.labels.get(label_id)
        if record is None or record == there:
            return
        if there and there.create_time != record.create_time:  # another of the same id
            view.drop_label(label_id)
        view.put_label(record)

    def _add(self, view: CollectionView, ids: list[str]) -> None:
        new: list[ExampleRecord] = []
        for example_id in ids:
            record = self._delta.examples.get((view.record.id, example_id))
            if record is None or view.examples.find(example_id) is not None:
                continue
            if record.label_id not in view.labels:
                self._put_label(view, record.label_id)
            new.append(record)
        view.add_examples(new)

    def _drop_row(self, view: CollectionView, row: int) -> None:
        below = view.examples.attachment
        if below and (example := view.examples.example(below.first + row)):
            view.drop_example(example[0])
