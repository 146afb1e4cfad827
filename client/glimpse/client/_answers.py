"""What became of inputs: one result each, with the answer or the error. Times are in milliseconds."""

from dataclasses import dataclass

from glimpse.client._enums import Decision, Head
from glimpse.client._resources import Example, Vector
from glimpse.client._status import ItemError


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one input went, wall clock; `batch_size` inputs shared the backbone's run."""

    decode_ms: float = 0.0
    queue_ms: float = 0.0
    encode_ms: float = 0.0
    head_ms: float = 0.0
    commit_ms: float = 0.0
    total_ms: float = 0.0
    batch_size: int = 0


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label's share of an answer: the head's score, in its own unit, and a probability in [0, 1]."""

    label: str
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """An enrolled example near an input: its name, its label, and their cosine."""

    example: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Conflict(Evidence):
    """Another enrolled example that is all but the same."""


@dataclass(frozen=True, slots=True)
class Classification:
    """What one collection (or, for zero-shot, a set of prompts) says of one input.

    `label` is the best one whatever the decision, and empty where no label can score; `margin` is None where
    there is no second label. `labels` and `evidence` come best first. `p_value` is the part of the collection's own
    examples that fit no better than the input (small: a stranger), None where not calibrated. The first `set_size`
    of the labels are the prediction set, or those that hold where any number may; 0: too few examples to say.
    `similarity` is the cosine to the best label's mean.
    """

    collection: str
    decision: Decision
    label: str
    probability: float
    margin: float | None
    labels: tuple[LabelScore, ...]
    evidence: tuple[Evidence, ...]
    head: Head
    head_reason: str
    calibrated: bool
    revision: int
    decision_reason: str
    p_value: float | None
    set_size: int
    similarity: float


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one input. `truncated`: its text was longer than the backbone's context and was cut."""

    id: str
    error: ItemError | None
    truncated: bool
    timings: Timings

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return self.error is None

    def raise_for_error(self) -> None:
        """Raises the GlimpseError of an item that failed."""
        if self.error is not None:
            raise self.error.exception()


@dataclass(frozen=True, slots=True)
class EmbedResult(ItemResult):
    """The vector of one input."""

    vector: Vector | None = None

    def unwrap(self) -> Vector:
        """The vector. Raises the item's GlimpseError where it failed."""
        self.raise_for_error()
        assert self.vector is not None  # noqa: S101  (the contract: an item without error has it)
        return self.vector


@dataclass(frozen=True, slots=True)
class EnrollResult(ItemResult):
    """One example's enrolment.

    A duplicate was there before. Conflicts are the same or nearly the same content under other labels, near
    duplicates other content under the same one; an outlier lies far from its label's mean. `original_kept`: it was
    there before without its original, which is kept from now on.
    """

    example: Example | None = None
    duplicate: bool = False
    conflicts: tuple[Conflict, ...] = ()
    near_duplicates: tuple[Conflict, ...] = ()
    outlier: bool = False
    original_kept: bool = False

    def unwrap(self) -> Example:
        """The example, new or there before. Raises the item's GlimpseError where it failed."""
        self.raise_for_error()
        assert self.example is not None  # noqa: S101  (as above)
        return self.example


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One result an example, in order, and the ledger's revision with them in it.

    `accuracy_before` is leave-one-out accuracy as last measured before them, `accuracy_after` with them, where it was
    asked for; None: not measured.
    """

    results: tuple[EnrollResult, ...]
    revision: int
    accuracy_before: float | None = None
    accuracy_after: float | None = None


@dataclass(frozen=True, slots=True)
class ClassifyResult(ItemResult):
    """One input's classifications, one a collection in the order asked for (exactly one for zero-shot)."""

    classifications: tuple[Classification, ...] = ()

    def unwrap(self) -> Classification:
        """The first, most often the only, classification. Raises the item's GlimpseError where it failed."""
        self.raise_for_error()
        return self.classifications[0]


@dataclass(frozen=True, slots=True)
class SearchResult(ItemResult):
    """One input's nearest examples, nearest first, and the ledger's revision they were found in."""

    neighbors: tuple[Evidence, ...] = ()
    revision: int = 0

    def unwrap(self) -> tuple[Evidence, ...]:
        """The neighbours. Raises the item's GlimpseError where it failed."""
        self.raise_for_error()
        return self.neighbors
