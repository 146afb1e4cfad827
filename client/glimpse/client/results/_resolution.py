"""The resolution of review items, and taking it back."""

from dataclasses import dataclass

from glimpse.client.results._resources import last_segment
from glimpse.client.transport._status import ItemError


@dataclass(frozen=True, slots=True)
class ReviewItemResult:
    """The result of one item of a resolution.

    Attributes:
        name: Full name of the item.
        error: Why this call did not resolve the item: its reason is ALREADY_RESOLVED, REVIEW_ITEM_NOT_FOUND or
            REVIEW_ITEM_OF_OTHER_SPACE. None: it did.
        example: Full name of the enrolled example, or of the one with the same content and label that existed. Empty:
            the item was skipped or not resolved.
        resolved_by: Of an item that was resolved before: name of the key that resolved it.
        resolved_label: Of such an item: id of the label it was resolved as. Empty: it was skipped.
    """

    name: str
    error: ItemError | None
    example: str
    resolved_by: str
    resolved_label: str

    @property
    def ok(self) -> bool:
        """True if this call resolved the item."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class ReviewResolution:
    """A decision of a person on several items. `undo_review` takes it back.

    Attributes:
        name: Full name, `collections/{collection}/reviewResolutions/{id}`. Empty: no item was resolved.
        results: One result for each item, in the order of the call.
        revision: Revision of the write; if nothing was enrolled, that of the collection's last change.
        accuracy_before: Leave-one-out accuracy before, in [0, 1]. None: it was not known.
        accuracy_after: Leave-one-out accuracy after. None unless `measure` was set and there was time.
        unknown_rate_before: Part of the sampled queries that were UNKNOWN, in [0, 1]. None: no sample.
        unknown_rate_after: Part of the same queries that would be UNKNOWN now. None unless `measure` was set and there
            was time.
    """

    name: str
    results: tuple[ReviewItemResult, ...]
    revision: int
    accuracy_before: float | None
    accuracy_after: float | None
    unknown_rate_before: float | None
    unknown_rate_after: float | None

    @property
    def id(self) -> str:
        """The id: the last segment of the name."""
        return last_segment(self.name)

    @property
    def failed(self) -> tuple[ReviewItemResult, ...]:
        """The results of the items that this call did not resolve."""
        return tuple(result for result in self.results if not result.ok)


@dataclass(frozen=True, slots=True)
class ReviewUndo:
    """The result of taking a resolution back.

    Attributes:
        item_count: Number of items that are back in the queue.
        example_count: Number of examples that were deleted.
        revision: Revision of the write.
    """

    item_count: int
    example_count: int
    revision: int
