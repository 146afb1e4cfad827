"""The ledger's rows as values. Times are microseconds since the epoch, UTC."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from glimpse.ledger.changes.hash_chain import content


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """A collection. The policy's numbers (`match_threshold` to `coverage`) are None where nobody set them.

    `min_space_cosine`: how near a child of its embedding space must be to be taken for it; None: none is.
    `label_mode` and `pinned_head` are the contract's numbers; 0: nobody chose. `side`: see shadows.py.
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


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """A label. `prompt_vector` is the mean of its prompts' vectors: float32 little-endian, length 1, or None.

    `role` is the contract's number; 0: a class.
    """

    id: str
    display_name: str = ""
    prompts: tuple[str, ...] = ()
    prompt_vector: bytes | None = None
    role: int = 0
    create_time: int = 0
    update_time: int = 0


@dataclass(frozen=True, slots=True)
class ExampleRecord:
    """An example. `vector` is float32 little-endian of length 1; `sequence` is its place in the ledger.

    `embedding_space` is the vector's, where it is not the collection's own.
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

    @property
    def digest(self) -> str:
        """Of what was enrolled: all but where and when."""
        told = (self.id, self.label_id, self.content_digest, self.modality, self.domain, self.metadata)
        return content(self.vector, *told, self.embedding_space)


@dataclass(frozen=True, slots=True)
class AttachmentRecord:
    """The index that a collection stands on, by its folder's name and its manifest's digest.

    `made`: whether a server made it, by folding: nobody else knows it.
    """

    index_id: str
    digest: str
    time: int = 0
    made: bool = False


@dataclass(frozen=True, slots=True)
class ReembeddingRecord:
    """The other side of a collection whose backbone changes: what it would be, or was, and its policy's cosines.

    `turn`: how often the sides changed places; odd: the collection is what the change was begun for; -1: it has ended,
    and what is left of it is being folded.
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
    """What came of embedding an example, or (by its id) a label's prompts, for the other side.

    Without a vector (float32 little-endian, length 1) there is a `problem`.
    """

    key: int | str
    vector: bytes | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PendingExample:
    """An example to be embedded for the other side; `content` is None where its bytes were not kept."""

    sequence: int
    modality: int
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Change:
    """One write: what kind it was, of which collection (empty: of none), about what, and who made it."""

    revision: int
    kind: str
    collection_id: str
    subject: dict[str, Any]
    time: int
    actor: str
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where a ledger stands: its identity, its last change with that one's digest, its last example's number."""

    ledger_id: str
    revision: int
    digest: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes, with what they are about as it is now, at a revision that is theirs or later.

    What is there no more is missing. Labels are those that changes name and those of the examples.
    """

    changes: Sequence[Change]
    collections: Mapping[str, CollectionRecord]
    labels: Mapping[tuple[str, str], LabelRecord]
    examples: Mapping[tuple[str, str], ExampleRecord]
    #: The digest of the change that they come after; empty: there is no such change.
    before: str
    #: Whether there may be more.
    more: bool = False


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a transaction of enrolments did.

    `examples[i]` answers the i-th one given: the new row, or the one that had the same content under the same
    label (`duplicates[i]`). `conflicts[i]` are the examples of other labels with the same content.
    """

    examples: Sequence[ExampleRecord]
    duplicates: Sequence[bool]
    conflicts: Sequence[Sequence[ExampleRecord]]
    new_labels: Sequence[LabelRecord]
    revision: int
    #: Examples that were there, hidden (see shadows.py), and are so no more.
    shown: Sequence[str] = ()
    #: Duplicates whose original is kept from now on.
    originals: Sequence[str] = ()

    @property
    def subject(self) -> dict[str, Any]:
        """What the change is about: the ids of the labels and examples that were added; empty if none was.

        `first` is the first example's sequence number, which the others follow; `under` their labels in order, each
        with how many; `digests` their digests. `shown` and `originals`: the ids of those fields.
        """
        fresh = (example for example, old in zip(self.examples, self.duplicates, strict=True) if not old)
        added = [example for example in fresh if example.id not in self.shown]
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
    """How a request is remembered: by its id, the digest of its content, and what it was answered."""

    id: str
    digest: str
    answer: Callable[[Enrolled], bytes]


@dataclass(frozen=True, slots=True)
class Enrollment:
    """Labels to add where they are not there yet, and examples, all or nothing.

    `inputs`: the contents to keep, by their digests.
    """

    collection_id: str
    new_labels: Sequence[LabelRecord]
    examples: Sequence[ExampleRecord]
    request: EnrollRequest | None = None
    actor: str = ""
    inputs: Mapping[str, bytes] = field(default_factory=dict)
