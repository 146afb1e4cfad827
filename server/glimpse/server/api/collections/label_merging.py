"""CollectionService's call that merges labels."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from glimpse.ledger import LabelRecord, Merged, Writer, merge_labels
from glimpse.server import validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.collections.label_relations import MAX_ALIASES, check_unused, named_label
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import label_message
from glimpse.server.errors import failed_precondition, invalid
from glimpse.v1 import collection_service_pb2 as pb

_MAX_LABELS = 16
# Every example of a call moves in one transaction, during which other writes wait.
_MAX_EXAMPLES = 10_000


class LabelMergingCalls(ResourceCalls):
    """Merges labels in one transaction. Every method raises RequestError."""

    async def merge(self, request: pb.MergeLabelsRequest) -> pb.MergeLabelsResponse:
        """Moves the examples of labels to another label, deletes the labels, and makes their ids its aliases."""
        view = self.view(request.parent, "parent")
        validation.check_count(request.label_ids, _MAX_LABELS, "label_ids")

        def plan() -> Callable[[Writer], Merged]:
            into = self._find(view, request.into_label_id, "into_label_id")
            found = (self._find(view, label, f"label_ids[{n}]") for n, label in enumerate(request.label_ids))
            merged = {label.id: label for label in found}
            _check(view, into, merged)
            aliases = _aliases(into, list(merged.values()))
            return lambda writer: merge_labels(writer, view.record.id, replace(into, aliases=aliases), list(merged))

        def apply(merged: Merged) -> int:
            view.remove_examples(merged.duplicates)
            view.update_examples(merged.moved)
            for label_id in merged.deleted:
                view.remove_label(label_id)
            view.put_label(merged.label)
            return view.set_revision(merged.revision)

        result = await self.catalog.write(plan, apply)
        return pb.MergeLabelsResponse(
            label=label_message(view, result.label.id),
            revision=result.revision,
            moved_count=len(result.moved),
            duplicate_count=len(result.duplicates),
        )

    def _find(self, view: CollectionView, label_id: str, field: str) -> LabelRecord:
        kept_id = named_label(view, label_id, field)
        self.check_label(view, kept_id, field)
        return view.labels[kept_id]


def _check(view: CollectionView, into: LabelRecord, merged: dict[str, LabelRecord]) -> None:
    """Checks that labels can be merged into another. Raises RequestError."""
    if into.id in merged:
        raise invalid("DUPLICATE_LABEL", f"label {into.id!r} cannot be merged into itself", "label_ids")
    for label in merged.values():
        check_unused(view, label.id, "label_ids", merged)
        if (label.role or pb.LABEL_ROLE_CLASS) != (into.role or pb.LABEL_ROLE_CLASS):
            message = f"labels {label.id!r} and {into.id!r} have different roles"
            raise failed_precondition("LABEL_ROLES_DIFFER", message, "label_ids")
    for label in (into, *merged.values()):
        if label.composed:
            message = f"label {label.id!r} is composed of other labels and has no examples"
            raise failed_precondition("COMPOSED_LABEL", message, "label_ids")
    _check_examples(view, list(merged))


def _check_examples(view: CollectionView, label_ids: Sequence[str]) -> None:
    attached = view.examples.attached_index
    for label_id in label_ids:
        if attached and len(attached.ids_of_label(label_id)):
            message = f"label {label_id!r} has rows of the attached index, which cannot be changed"
            raise failed_precondition("EXAMPLE_IN_INDEX", message, "label_ids")
    count = sum(map(view.examples.count, label_ids))
    if count > _MAX_EXAMPLES:
        message = f"{count} examples would move, at most {_MAX_EXAMPLES} in one call; move some with UpdateExamples"
        raise failed_precondition("LABELS_TOO_LARGE", message, "label_ids")


def _aliases(into: LabelRecord, merged: Sequence[LabelRecord]) -> tuple[str, ...]:
    """Returns the aliases of a label after a merge. Raises RequestError if there are too many."""
    found = (spelling for label in merged for spelling in (label.id, *label.aliases))
    aliases = tuple(dict.fromkeys((*into.aliases, *found)))
    if len(aliases) > MAX_ALIASES:
        message = f"label {into.id!r} would have {len(aliases)} aliases; at most {MAX_ALIASES}"
        raise invalid("TOO_MANY", message, "label_ids")
    return aliases
