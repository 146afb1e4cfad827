"""Resources of the server as dataclasses: backbones, collections, labels, examples and vectors."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glimpse.client.requests._enums import Head, LabelMode, LabelRole, Modality
from glimpse.client.requests._labels import Composition, LabelPolicy
from glimpse.client.requests._policies import DecisionPolicy, EmbeddingSpacePolicy, ReviewPolicy


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Vector:
    """A vector of one embedding space. It is an input of calls, and a result.

    Attributes:
        values: The values, of shape `(d,)`; they are converted to little-endian float32.
        embedding_space: Embedding space of the vector, as `Backbone.embedding_space`.

    Raises:
        ValueError: If `values` does not have exactly one axis.
    """

    values: NDArray[Any]
    embedding_space: str

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype="<f4")
        if values.ndim != 1:
            raise ValueError(f"a vector has the shape (d,); this array has the shape {values.shape}")
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
    """A frozen encoder that the server has loaded.

    Attributes:
        name: Full name, `backbones/{id}`.
        description: One line for people.
        modalities: The kinds of inputs that the backbone reads.
        dimension: Number of values of each vector.
        embedding_space: Digest of weights, preprocessing, pooling, normalisation and precision. Only vectors of the
            same space are comparable.
        image_size: Side of the square image that the backbone takes, in pixels. 0: it reads no images.
        context_length: Largest number of tokens of a text. 0: it reads no text.
        logit_scale: Factor of image-text cosines before the softmax. 0: there is no shared space of images and texts,
            or the scale is unknown.
        logit_bias: Term added to scaled cosines before a sigmoid (SigLIP). None: the backbone has none.
        prompt_templates: Templates that turn a label's name into prompts; `{}` stands for the name.
        license: Licence of the weights.
        providers: ONNX Runtime providers that the backbone runs on, best first.
        default_match_threshold: Cosine to the best label below which an input is UNKNOWN while too few examples can be
            left out. -1, which rejects nothing: the backbone declares none.
        default_match_margin: Always 0: without a margin of the collection, an answer of a probability below one half is
            AMBIGUOUS.
        parent_embedding_space: Embedding space of the backbone of higher precision that this one was made from. Empty:
            there is none.
        parent_min_cosine: Smallest cosine to the parent's vector of the same input, as measured. 0: no parent.
        background_vocabulary_size: Number of vectors that compete with labels that have prompts and no examples. 0:
            the backbone has none.
    """

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
    background_vocabulary_size: int


@dataclass(frozen=True, slots=True)
class AttachedIndex:
    """The index of a collection.

    Attributes:
        name: Full name, `indexes/{id}`.
        factory: The index type, as a FAISS factory string.
        vector_count: Number of vectors, including deleted ones.
        deleted_count: Number of vectors that were deleted since the index was built. A compaction removes them.
        unlabeled_count: Number of vectors without a label, including deleted ones. They are found by search and are
            never an answer.
        searched: The device on which it is searched, and the reason.
    """

    name: str
    factory: str
    vector_count: int
    deleted_count: int
    unlabeled_count: int = 0
    searched: str = ""

    @property
    def id(self) -> str:
        """The id: the last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of labels and examples in one embedding space.

    Attributes:
        name: Full name, `collections/{id}`.
        display_name: Name for people.
        backbone: Full name of the backbone.
        embedding_space: Embedding space of the backbone.
        policy: When an answer is MATCH, UNKNOWN or AMBIGUOUS.
        embedding_space_policy: Which vectors of other embedding spaces are accepted.
        names_as_prompts: Whether labels without prompts use their names as prompts.
        keep_inputs: Whether the server keeps the bytes of enrolled inputs.
        label_mode: Whether exactly one label is right or any number of labels may be.
        pinned_head: Head that answers as soon as there are enough examples for it. UNSPECIFIED: the server chooses.
        label_count: Number of labels.
        example_count: Number of examples, including rows of the index.
        revision: Revision of the last change to the collection or anything in it.
        create_time: When the collection was created.
        update_time: When the settings of the collection last changed.
        index: The index whose rows are examples too. None: there is none.
        review_policy: Which queries are kept for review. None: none is.
        content_readable: Whether callers with the scope enroll may read kept originals and kept queries.
        adapt_to_unlabeled: Whether examples of one domain are adapted to unlabelled examples of others.
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
    review_policy: ReviewPolicy | None = None
    content_readable: bool = False
    adapt_to_unlabeled: bool = False

    @property
    def id(self) -> str:
        """The id: the last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a collection.

    Attributes:
        name: Full name, `collections/{collection}/labels/{id}`.
        display_name: Name for people.
        prompts: Texts that describe the label.
        role: What the examples of the label are.
        example_count: Number of its examples.
        create_time: When the label was created.
        update_time: When the label last changed.
        revision: Revision of the write that returned the label. 0 if the label was only read.
        parent: Id of the more general label above it. Empty: none.
        policy: What replaces parts of the collection's policy for this label. None: nothing.
        composition: The labels that it is composed of. None: it is not composed.
        aliases: Other ids that find the label.
    """

    name: str
    display_name: str
    prompts: tuple[str, ...]
    role: LabelRole
    example_count: int
    create_time: datetime
    update_time: datetime
    revision: int = 0
    parent: str = ""
    policy: LabelPolicy | None = None
    composition: Composition | None = None
    aliases: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id: the last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class MergedLabels:
    """The result of merging labels.

    Attributes:
        label: The label that got the examples.
        moved_count: Number of examples that moved.
        duplicate_count: Number of examples that were deleted, because another one with the same content stays.
    """

    label: Label
    moved_count: int
    duplicate_count: int


@dataclass(frozen=True, slots=True)
class Example:
    """An enrolled input, or a row of the collection's index.

    Attributes:
        name: Full name, `collections/{collection}/examples/{id}`.
        label: Id of its label.
        content_digest: `sha256:` and the hexadecimal digest of the content.
        modality: The kind of the input.
        domain: Where the input comes from. Empty: unknown.
        metadata: The caller's own keys and values.
        create_time: When the example was enrolled.
        vector: The vector, of shape `(d,)`. None unless it was requested.
        group: What the input is a part of, for example a clip. Empty: in no group.
    """

    name: str
    label: str
    content_digest: str
    modality: Modality
    domain: str
    metadata: dict[str, str]
    create_time: datetime
    vector: Vector | None
    group: str = ""

    @property
    def id(self) -> str:
        """The id: the last segment of the name."""
        return last_segment(self.name)


@dataclass(frozen=True, slots=True)
class Health:
    """The health of a server.

    Attributes:
        status: Status of grpc.health.v1: SERVING, NOT_SERVING, SERVICE_UNKNOWN or UNKNOWN.
        latency_ms: Round-trip time of the call, in milliseconds.
        serving: Whether the status is SERVING.
    """

    status: str
    latency_ms: float
    serving: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "serving", self.status == "SERVING")


def last_segment(name: str) -> str:
    """Returns the id in a resource name."""
    return name.rpartition("/")[2]
