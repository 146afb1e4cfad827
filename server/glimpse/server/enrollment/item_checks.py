"""Checks the examples of an enrolment against their collection."""

from collections.abc import Sequence

from glimpse.server import validation
from glimpse.server.catalog.write_plan import PendingEnrollments
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.composed_labels import check_takes_examples
from glimpse.server.enrollment.results import EnrollmentItem
from glimpse.server.errors import RequestError, exhausted, invalid, not_found
from glimpse.server.inference.embedding_spaces import Source, mismatch
from glimpse.server.settings import Settings
from glimpse.v1 import collection_service_pb2 as pb


class ItemChecks:
    """Checks the items of one call."""

    def __init__(
        self,
        view: CollectionView,
        request: pb.EnrollExamplesRequest,
        limits: Settings,
        source: Source,
        pending: PendingEnrollments | None,
    ) -> None:
        """Prepares to check a call's items.

        Args:
            view: The collection.
            request: The call's request.
            limits: The most labels and examples of a collection.
            source: The source of the collection's vectors.
            pending: Enrolments of the same transaction that no view contains yet; None if there are none.
        """
        name = view.record.id
        self._view, self._request, self._limits, self._source = view, request, limits, source
        self._pending_labels, self._new_labels = pending.labels[name] if pending else set(), set[str]()
        self._label_count = len(view.labels) + len(self._pending_labels)
        self._count = view.examples.enrolled_count + (pending.examples[name] if pending else 0)

    def check(self, items: Sequence[EnrollmentItem]) -> None:
        """Sets the `refusal` of each item that the collection cannot take; skips items that are refused already."""
        for position, item in enumerate(items):
            if item.refusal:
                continue
            try:
                self._check_fields(item, f"examples[{position}]")
                self._check_label(item.label_id, f"examples[{position}].label_id")
                self._check_capacity()
                self._check_space(item, f"examples[{position}].input")
            except RequestError as refusal:
                item.refusal = refusal

    def _check_fields(self, item: EnrollmentItem, field: str) -> None:
        example = item.example
        if example.input.HasField("views"):
            message = "views are no example; enroll each of them as an example of its own, all with the same group"
            raise invalid("VIEWS_NOT_ENROLLED", message, f"{field}.input.views")
        label_id = item.label_id or self._view.find_label(example.label_id)
        validation.check_length(example.input.id, f"{field}.input.id")
        item.label_id = label_id or validation.check_label_id(example.label_id, f"{field}.label_id")
        validation.check_length(example.domain, f"{field}.domain")
        validation.check_length(example.group, f"{field}.group")
        validation.check_metadata(example.metadata, f"{field}.metadata")

    def _check_label(self, label_id: str, field: str) -> None:
        if self._view.composed.exist:
            check_takes_examples(self._view.labels, label_id, field)
        if label_id in self._view.labels or label_id in self._new_labels:
            return
        if not self._request.create_labels:
            message = f"collection {self._view.record.id!r} has no label {label_id!r}; create it, or say create_labels"
            raise not_found("LABEL_NOT_FOUND", message, field)
        if label_id not in self._pending_labels:
            if self._label_count >= self._limits.max_labels:
                limit, name = self._limits.max_labels, self._view.record.id
                message = f"collection {name!r} would have more than {limit} labels, the limit"
                raise exhausted("TOO_MANY_LABELS", message).at(field)
            self._label_count += 1
        self._new_labels.add(label_id)

    def _check_capacity(self) -> None:
        if self._count >= self._limits.max_examples:
            limit, name = self._limits.max_examples, self._view.record.id
            message = f"collection {name!r} would have more than {limit} enrolled examples, the limit"
            raise exhausted("TOO_MANY_EXAMPLES", message)
        self._count += 1

    def _check_space(self, item: EnrollmentItem, field: str) -> None:
        # The policy may have changed while the input was embedded.
        space = item.embedded.embedding_space if item.embedded else self._source.embedding_space
        if space != self._source.embedding_space and not self._source.takes(space):
            message = mismatch(self._source, space)
            raise invalid("EMBEDDING_SPACE_MISMATCH", message, field)
