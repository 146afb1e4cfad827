"""The labels of a collection that are composed of others."""

from collections.abc import Callable, Mapping

from glimpse.fewshot import ComposedLabels, Composition
from glimpse.ledger import LabelRecord
from glimpse.server.errors import failed_precondition


class ComposedIndex:
    """The composed labels of a collection, as its classifier needs them. They are prepared on demand after a change."""

    def __init__(self) -> None:
        #: Whether there is one; an attribute, because each call reads it.
        self.exist = False
        self._compositions: dict[str, Composition] = {}
        self._prepared: ComposedLabels | None = None

    def put(self, label: LabelRecord) -> bool:
        """Adds, replaces or removes a label, according to whether it is composed.

        Returns:
            Whether the first composed label came, or the last one went: a fit depends on whether there is one.
        """
        existed = bool(self._compositions)
        self.remove(label.id)
        if label.composed:
            self._compositions[label.id] = Composition(label.id, label.parts, label.not_parts)
            self._prepared = None
        self.exist = bool(self._compositions)
        return existed != self.exist

    def remove(self, label_id: str) -> bool:
        """Removes a label, which need not be composed; returns whether it was the last composed one."""
        if not self._compositions.pop(label_id, None):
            return False
        self._prepared, self.exist = None, bool(self._compositions)
        return not self.exist

    @property
    def labels(self) -> ComposedLabels | None:
        """The composed labels; None if there are none."""
        if self._prepared is None and self._compositions:
            self._prepared = ComposedLabels.of(list(self._compositions.values()))
        return self._prepared

    def missing_parts(self, can_score: Callable[[str], bool]) -> dict[str, str]:
        """Returns a part that cannot score, by the composed label that needs it; empty if all can."""
        every = ((one.label, part) for one in self._compositions.values() for part in (*one.parts, *one.not_parts))
        return {label: part for label, part in every if not can_score(part)}


def check_takes_examples(labels: Mapping[str, LabelRecord], label_id: str, field: str) -> None:
    """Checks that examples can be enrolled under a label, which need not exist.

    Raises:
        RequestError: COMPOSED_LABEL.
    """
    if (label := labels.get(label_id)) and label.composed:
        message = f"label {label_id!r} is composed of other labels; enroll under those"
        raise failed_precondition("COMPOSED_LABEL", message, field)
