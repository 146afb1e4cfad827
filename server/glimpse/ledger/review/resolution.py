"""Resolutions: requests to resolve review items and to take a resolution back, their results, and what is stored."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from glimpse.ledger.records import Enrolled, ExampleRecord, LabelRecord


class ResolutionKind(StrEnum):
    """The kind of a resolution."""

    LABEL = "label"
    NEW_LABEL = "new_label"
    NEGATIVE = "negative"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class ResolveRequest:
    """A request to be remembered, by its id and the digest of its content, with a function that builds its response."""

    id: str
    digest: str
    answer: "Callable[[Resolved], bytes]"


@dataclass(frozen=True, slots=True)
class Resolve:
    """Items to resolve.

    Attributes:
        item_ids: distinct ids, at most 1,000.
        kind: what the items are.
        label: LABEL: the existing label, of which only the id is used. NEW_LABEL: the label to create. NEGATIVE: the
            label to create if the collection has none of this role. SKIP: None.
        actor: name of the caller's key.
        expected: ids that must all wait, or nothing is resolved: the members of a group. Empty checks nothing.
        accepted_spaces: embedding spaces beside the collection's own whose vectors it accepts.
    """

    collection_id: str
    item_ids: Sequence[str]
    kind: ResolutionKind
    label: LabelRecord | None = None
    actor: str = ""
    request: ResolveRequest | None = None
    expected: Collection[str] = ()
    accepted_spaces: Collection[str] = ()


class ResolveOutcome(StrEnum):
    """The outcome for one item."""

    RESOLVED = "resolved"
    ALREADY_RESOLVED = "already_resolved"
    NOT_FOUND = "not_found"
    OTHER_SPACE = "other_space"


@dataclass(frozen=True, slots=True)
class ItemResult:
    """The outcome for one item, with its example.

    Attributes:
        example_id: the example that was enrolled, or the one of the same content and label that existed; else empty.
        resolved_by: if it was resolved already: by the key with this name.
        resolved_label_id: and as this label; empty if it was skipped.
    """

    item_id: str
    outcome: ResolveOutcome
    example_id: str = ""
    resolved_by: str = ""
    resolved_label_id: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The result of a resolution.

    Attributes:
        resolution_id: empty if no item was resolved.
        results: one for each id of the request, in the same order.
        revision: revision of the last change; that of the collection's last change if nothing was enrolled.
        label_id: the label of the items; empty if they were skipped or none was resolved.
        created_label: whether it was created.
        enrolled: the results of the enrolments, one change each.
    """

    resolution_id: str
    results: Sequence[ItemResult]
    revision: int
    label_id: str = ""
    created_label: bool = False
    enrolled: Sequence[Enrolled] = ()


@dataclass(frozen=True, slots=True)
class ResolutionRows:
    """The rows of a collection's index that matter to a resolution. The ledger does not read an index.

    Attributes:
        examples: the resolution's examples that a compaction has moved into the index, by row.
        label_count: how many rows have the resolution's label, and are not deleted.
    """

    examples: Mapping[int, ExampleRecord] = field(default_factory=dict)
    label_count: int = 0


@dataclass(frozen=True, slots=True)
class Undone:
    """The result of taking a resolution back. Nothing is named if it was taken back before.

    Attributes:
        item_ids: items that are back in the queue.
        example_ids: examples that were deleted.
        label_id: the label that was deleted; empty if none was.
        revision: revision of the last change; that of the collection's last change if there was none.
    """

    item_ids: Sequence[str]
    example_ids: Sequence[str]
    label_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class ReviewResolution:
    """A stored resolution.

    Attributes:
        label_id: the label of the items; empty if they were skipped.
        created_label: whether the resolution created it.
        item_count: how many items it resolved.
        revision: the collection's revision after it.
        examples: the examples that it enrolled: the digest of what can be updated, by id.
        undo_time: when it was taken back; None if it was not.
    """

    id: str
    time: int
    actor: str
    kind: ResolutionKind
    label_id: str
    created_label: bool
    item_count: int
    revision: int
    examples: dict[str, str]
    undo_time: int | None = None
