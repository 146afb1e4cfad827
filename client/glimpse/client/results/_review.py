"""The review of kept queries: items, groups of them, kept inputs, and figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from glimpse.client.requests._enums import Decision, Modality
from glimpse.client.results._collection_report import Estimate
from glimpse.client.results._resources import last_segment
from glimpse.client.transport._errors import Aborted
from glimpse.client.transport._status import ItemError


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A query that was kept because its decision was not sure.

    Attributes:
        name: Full name, `collections/{collection}/reviewItems/{id}`.
        decision: The decision that the query got.
        label: Id of its best label. Empty: the collection had no label.
        probability: Probability of the label when the query was classified.
        uncertainty: How unsure the decision was, in [0, 1].
        modality: The kind of the query.
        content_digest: `sha256:` and the hexadecimal digest of the content.
        content_bytes: Size of the kept input. 0: only the vector is kept.
        count: Number of queries within cosine 0.98 of this one, itself included.
        embedding_space: Embedding space of the vector.
        caller: Name of the caller's key. Empty: a caller without a key.
        domain: Domain of the query. Empty: unknown.
        create_time: When the query was kept.
        last_time: When the newest query that it stands for came.
        expire_time: When the item is deleted.
        with_previous: Whether one answer probably names this item and the one before it in the list.
    """

    name: str
    decision: Decision
    label: str
    probability: float
    uncertainty: float
    modality: Modality
    content_digest: str
    content_bytes: int
    count: int
    embedding_space: str
    caller: str
    domain: str
    create_time: datetime
    last_time: datetime
    expire_time: datetime
    with_previous: bool = False

    @property
    def id(self) -> str:
        """The id: the last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class ProposedName:
    """A name for a group, from a vocabulary.

    Attributes:
        name: The text.
        cosine: Cosine between the text and the mean of the group.
    """

    name: str
    cosine: float


@dataclass(frozen=True, slots=True)
class ReviewGroup:
    """Items that are alike. `resolve_review_items` takes a group in place of names.

    Attributes:
        etag: Digest of the members. A group with other members has another etag.
        items: Full names of the members, at most 1,000. The first is the medoid, the others follow by their cosine to
            it.
        size: Number of members.
        query_count: Number of queries that the members stand for.
        spread: 1 minus the mean cosine of the members to the medoid.
        proposed_label: Id of the label that fits all members best. Empty: none fits.
        probability: Probability of the proposed label.
        names: Names for a new label, likeliest first. Empty if the backbone reads no text.
        compute_time: When the groups were computed. None in a `ReviewGroupChanged`.
        ungrouped_count: Number of items that came later and are in no group yet.
    """

    etag: str
    items: tuple[str, ...]
    size: int
    query_count: int
    spread: float
    proposed_label: str
    probability: float
    names: tuple[ProposedName, ...]
    compute_time: datetime | None = None
    ungrouped_count: int = 0


class ReviewGroupChanged(Aborted):
    """Raised when a group that is to be resolved has other members now. Nothing was resolved.

    Attributes:
        group: The group as it is. None: it has no member left.
    """

    group: ReviewGroup | None = None


@dataclass(frozen=True, slots=True)
class ReviewSummary:
    """The state of a review: items that wait, work that was done, and rates on real queries.

    The `count` of an estimate is the number of sampled queries it is based on.

    Attributes:
        waiting: Number of items that wait, by their decision.
        resolved_count: Items that were resolved.
        dropped_count: Items that expired or made room for others.
        unknown_rate: Part of recent queries that were UNKNOWN when they came. None: no sample.
        unknown_rate_now: Part of the same queries that would be UNKNOWN now. None: no sample.
        accuracy: Part of recent queries that had the right answer: the label that people resolved them as, or UNKNOWN
            if they were negatives or their label did not exist yet. None: people resolved none that came when the
            collection had labels.
    """

    waiting: Mapping[Decision, int]
    resolved_count: int
    dropped_count: int
    unknown_rate: Estimate | None
    unknown_rate_now: Estimate | None
    accuracy: Estimate | None


@dataclass(frozen=True, slots=True)
class ReviewPurge:
    """The result of a purge.

    Attributes:
        item_count: Number of items that were deleted, with their inputs.
        sample_count: Number of sampled queries that were deleted.
    """

    item_count: int
    sample_count: int


@dataclass(frozen=True, slots=True)
class KeptInput:
    """The kept bytes of an example or a review item, or a thumbnail of them.

    Attributes:
        name: Full name of the example or the item.
        content: An encoded image as `bytes`, or a text. None: there is none.
        error: Why there is no content, for example with the reason INPUT_NOT_KEPT. None: there is one.
    """

    name: str
    content: bytes | str | None = field(repr=False)
    error: ItemError | None

    def unwrap(self) -> bytes | str:
        """Returns the content.

        Raises:
            GlimpseError: If there is none.
        """
        if self.error is not None:
            raise self.error.exception()
        assert self.content is not None  # noqa: S101  (it is set if there is no error)
        return self.content
