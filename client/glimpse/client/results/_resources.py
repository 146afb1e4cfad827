"""What the server holds and the client returns: backbones, collections, labels, examples, vectors."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glimpse.client.requests._enums import Head, LabelMode, LabelRole, Modality
from glimpse.client.requests._policies import DecisionPolicy, EmbeddingSpacePolicy


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Vector:
    """A vector of one embedding space: float32 values of shape (dimension,). Input and output alike."""

    values: NDArray[Any]
    embedding_space: str

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype="<f4")
        if values.ndim != 1:
            raise ValueError(f"a vector has one axis; this array has the shape {values.shape}")
        object.__setattr__(self, "values", values)

    def __repr__(self) -> str:
        return f"Vector({self.values.size} values, {self.embedding_space!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vector):
            return NotImplemented
        return self.embedding_space == other.embedding_space and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.values.tobytes(), self.embedding_space))


@dataclass(frozen=True, slots=True)
class Backbone:
    """A frozen encoder the server has loaded; the fields are the contract's."""

    name: str
    description: str
    modalities: tuple[Modality, ...]
    dimension: int
    embedding_space: str
    image_size: int
    context_length: int
    logit_scale: float
    logit_bias: float | None
    prompt_templates: tuple[str, ...]
    license: str
    providers: tuple[str, ...]
    default_match_threshold: float
    default_match_margin: float
    parent_embedding_space: str
    parent_min_cosine: float


@dataclass(frozen=True, slots=True)
class AttachedIndex:
    """An index built in bulk, under a collection: how it searches, its vectors, and how many of them were deleted."""

    name: str
    factory: str
    vector_count: int
    deleted_count: int
    #: Those without a label, deleted ones too: search finds them, and they are never an answer.
    unlabeled_count: int = 0

    @property
    def id(self) -> str:
        """The last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class Collection:
    """Labels and examples in one embedding space.

    `pinned_head`: UNSPECIFIED where the ladder chooses. `index`: whose rows are examples too, or None.
    """

    name: str
    display_name: str
    backbone: str
    embedding_space: str
    policy: DecisionPolicy
    embedding_space_policy: EmbeddingSpacePolicy
    names_as_prompts: bool
    keep_inputs: bool
    label_mode: LabelMode
    pinned_head: Head
    label_count: int
    example_count: int
    revision: int
    create_time: datetime
    update_time: datetime
    index: AttachedIndex | None

    @property
    def id(self) -> str:
        """The last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a collection. `revision` is that of the write that returned it; 0 where it was only read."""

    name: str
    display_name: str
    prompts: tuple[str, ...]
    role: LabelRole
    example_count: int
    create_time: datetime
    update_time: datetime
    revision: int = 0

    @property
    def id(self) -> str:
        """The last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class Example:
    """One enrolled input. `vector` only where it was asked for."""

    name: str
    label: str
    content_digest: str
    modality: Modality
    domain: str
    metadata: dict[str, str]
    create_time: datetime
    vector: Vector | None

    @property
    def id(self) -> str:
        """The last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class Health:
    """A server's health as grpc.health.v1 names it ("SERVING", …), and the call's round trip."""

    status: str
    latency_ms: float
    serving: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "serving", self.status == "SERVING")


def last_segment(name: str) -> str:
    """The id in a resource name."""
    return name.rpartition("/")[2]
