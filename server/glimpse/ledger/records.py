"""The ledger's rows as immutable records. Times are microseconds since the epoch, UTC."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from glimpse.ledger.changes.hash_chain import content


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """A collection with its decision policy. Numbers of the policy are None if they were never set.

    Attributes:
        embedding_space: digest of the backbone's weights, preprocessing, pooling, normalisation and precision.
        dimension: length of the vectors.
        match_threshold: least cosine to a label's centre.
        match_margin: least lead over the second label, in cosine.
        min_space_cosine: least cosine at which a derived embedding space is accepted; None accepts none.
        label_mode: number of the contract's enum; 0 if unset.
        pinned_head: number of the contract's enum; 0 if unset.
        keep_inputs: whether the original inputs are stored.
        adapt_to_unlabeled: whether examples of one domain are adapted to unlabelled examples of others.
        review_unknown: whether queries with the decision UNKNOWN are kept for review.
        review_ambiguous: whether those with the decision AMBIGUOUS are.
        review_match_rate: the part of those with the decision MATCH that is, 0 to 1.
        review_inputs: whether their inputs are kept beside their vectors.
        review_max_items: at most this many wait; 0 is the default.
        review_keep_days: an item is deleted after this many days; 0 is the default.
        content_readable: whether callers may read kept originals and queries.
        mistake_costs: the true label, the answered label and the cost of mistakes that do not cost 1.
        side: 0 or 1, which of the two backbones of a re-embedding answers (see reembedding/reads.py).
        revision: revision of the last change.
    """

    id: str
    backbone: str
    embedding_space: str
    dimension: int
    display_name: str = ""
    match_threshold: float | None = None
    match_margin: float | None = None
    min_space_cosine: float | None = None
    false_reject_rate: float | None = None
    false_accept_rate: float | None = None
    coverage: float | None = None
    names_as_prompts: bool = False
    label_mode: int = 0
    pinned_head: int = 0
    keep_inputs: bool = False
    side: int = 0
    revision: int = 0
    create_time: int = 0
    update_time: int = 0
    review_unknown: bool = False
    review_ambiguous: bool = False
    review_match_rate: float = 0.0
    review_inputs: bool = False
    review_max_items: int = 0
    review_keep_days: int = 0
    content_readable: bool = False
    adapt_to_unlabeled: bool = False
    mistake_costs: tuple[tuple[str, str, float], ...] = ()

    @property
    def keeps_queries(self) -> bool:
        """True if the review policy keeps any query."""
        return self.review_unknown or self.review_ambiguous or self.review_match_rate > 0


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """A label.

    Attributes:
        prompt_vector: mean of the prompts' vectors, float32 little-endian, length 1; None without prompts.
        role: number of the contract's enum; 0 is a class.
        parent_id: id of the more general label above it; empty without one.
        match_threshold: least cosine to the label's centre; None: the collection's policy decides.
        false_reject_rate: the part of the label's own inputs that may be rejected; None: the collection's policy.
        min_examples: with fewer examples the label is never accepted.
        parts: ids of the labels that must hold for a composed label; not_parts: of those that must not.
        aliases: other ids that find the label.
    """

    id: str
    display_name: str = ""
    prompts: tuple[str, ...] = ()
    prompt_vector: bytes | None = None
    role: int = 0
    create_time: int = 0
    update_time: int = 0
    parent_id: str = ""
    match_threshold: float | None = None
    false_reject_rate: float | None = None
    min_examples: int = 0
    parts: tuple[str, ...] = ()
    not_parts: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def composed(self) -> bool:
        """True if the label is composed of other labels."""
        return bool(self.parts or self.not_parts)


@dataclass(frozen=True, slots=True)
class ExampleRecord:
    """An example.

    Attributes:
        content_digest: SHA-256 of the input.
        modality: number of the contract's enum.
        vector: float32 little-endian, length 1.
        group: examples of one group are left out together; empty: in no group.
        embedding_space: the vector's space if it differs from the collection's.
        sequence: the number of the example in the ledger; never reused.
    """

    id: str
    label_id: str
    content_digest: str
    modality: int
    vector: bytes
    domain: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    embedding_space: str | None = None
    sequence: int = 0
    create_time: int = 0
    group: str = ""

    @property
    def digest(self) -> str:
        """The digest of everything that was enrolled; sequence and time are not part of it."""
        values = (self.id, self.label_id, self.content_digest, self.modality, self.domain, self.metadata)
        # Only where it is set, so that the digests of examples from before groups stay the same.
        group = (self.group,) if self.group else ()
        return content(self.vector, *values, self.embedding_space, *group)


@dataclass(frozen=True, slots=True)
class AttachmentRecord:
    """An index that is attached to a collection, by its folder's name and its manifest's digest.

    Attributes:
        made: True if a server built it by compaction; then the server also removes it.
    """

    index_id: str
    digest: str
    time: int = 0
    made: bool = False


@dataclass(frozen=True, slots=True)
class ReembeddingRecord:
    """A re-embedding: the backbone that a collection can be switched to, or was switched from.

    Attributes:
        switches: how often the two backbones were exchanged. Odd: the new backbone answers. -1: the re-embedding has
            ended and its rows are being cleaned up.
    """

    backbone: str
    embedding_space: str
    dimension: int
    match_threshold: float | None = None
    match_margin: float | None = None
    min_space_cosine: float | None = None
    switches: int = 0
    time: int = 0

    @classmethod
    def from_stored(cls, values: Mapping[str, Any]) -> "ReembeddingRecord":
        """Builds a record from a row of `shadows` or a change's subject, which call the number of switches `turn`."""
        names = (name for name in cls.__slots__ if name != "switches")
        return cls(**{name: values[name] for name in names}, switches=values["turn"])

    def to_stored(self) -> dict[str, Any]:
        """Returns the values as a row of `shadows` and a change's subject store them."""
        return {("turn" if name == "switches" else name): getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ReembeddingResult:
    """The result of embedding an example, or a label's prompts, by the other backbone.

    Attributes:
        key: an example's sequence number, or a label's id.
        vector: float32 little-endian, length 1; None if embedding failed.
        problem: why embedding failed.
    """

    key: int | str
    vector: bytes | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PendingExample:
    """An example that the other backbone has not embedded yet; `content` is None if its input was not kept."""

    sequence: int
    modality: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Change:
    """One write: its kind, its collection ("" for none), its subject, and the name of the key that made it."""

    revision: int
    kind: str
    collection_id: str
    subject: dict[str, Any]
    time: int
    actor: str
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """The ledger's identity, its last change with that change's digest, and the last example's sequence number."""

    ledger_id: str
    revision: int
    digest: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes, with the current state of what they name, at the revision of the last change or later.

    Rows that no longer exist are missing. `labels` holds the labels that changes name and the labels of `examples`.
    """

    changes: Sequence[Change]
    collections: Mapping[str, CollectionRecord]
    labels: Mapping[tuple[str, str], LabelRecord]
    examples: Mapping[tuple[str, str], ExampleRecord]
    #: The digest of the change before the first of these; empty if there is none.
    before: str
    #: True if there may be more changes.
    more: bool = False


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The result of one enrolment.

    `examples[i]` belongs to the i-th example given: the new row, or the existing row with the same content and label if
    `duplicates[i]`. `conflicts[i]` are the examples of other labels with the same content.
    """

    examples: Sequence[ExampleRecord]
    duplicates: Sequence[bool]
    conflicts: Sequence[Sequence[ExampleRecord]]
    new_labels: Sequence[LabelRecord]
    revision: int
    #: Ids of examples that were hidden (see reembedding/reads.py) and are visible again.
    shown: Sequence[str] = ()
    #: Ids of duplicates whose original input is stored from now on.
    originals: Sequence[str] = ()

    @property
    def subject(self) -> dict[str, Any]:
        """The subject of the change: ids of the labels and examples that were added; empty if none was.

        `first` is the first example's sequence number; the others follow it. `under` lists their labels in order, with
        run lengths; `digests` their digests. `shown` and `originals` are the ids in those fields.
        """
        new = (example for example, old in zip(self.examples, self.duplicates, strict=True) if not old)
        added = [example for example in new if example.id not in self.shown]
        subject: dict[str, Any] = {}
        if self.new_labels:
            subject["labels"] = [label.id for label in self.new_labels]
        if added:
            subject["examples"] = [example.id for example in added]
            subject["first"] = added[0].sequence
            runs = groupby(added, key=lambda example: example.label_id)
            subject["under"] = [[label, len(list(run))] for label, run in runs]
            subject["digests"] = [example.digest for example in added]
        named = {"shown": [*self.shown], "originals": [*self.originals]}
        return subject | {kind: ids for kind, ids in named.items() if ids}


@dataclass(frozen=True, slots=True)
class EnrollRequest:
    """A request to be remembered, by its id and the digest of its content, with a function that builds its response."""

    id: str
    digest: str
    answer: Callable[[Enrolled], bytes]


@dataclass(frozen=True, slots=True)
class Enrollment:
    """Labels and examples to add, all or nothing. Labels that exist are skipped.

    Attributes:
        inputs: original inputs to store, by content digest.
    """

    collection_id: str
    new_labels: Sequence[LabelRecord]
    examples: Sequence[ExampleRecord]
    request: EnrollRequest | None = None
    actor: str = ""
    inputs: Mapping[str, bytes] = field(default_factory=dict)
