"""A re-embedding: the change of a collection's backbone."""

from dataclasses import dataclass
from datetime import datetime

from glimpse.client.requests._policies import DecisionPolicy, EmbeddingSpacePolicy
from glimpse.client.results._collection_report import CollectionReport
from glimpse.client.results._resources import Collection


@dataclass(frozen=True, slots=True)
class ReembeddingSide:
    """A collection with one of its two backbones.

    Attributes:
        backbone: Full name of the backbone.
        embedding_space: Embedding space of the backbone.
        loaded: Whether the server that answered has loaded a backbone of this space.
        figures: Report of the collection with this backbone. None unless `measure` was set.
    """

    backbone: str
    embedding_space: str
    loaded: bool
    figures: CollectionReport | None


@dataclass(frozen=True, slots=True)
class ReembeddingFailure:
    """An example that the new backbone cannot embed.

    Attributes:
        example: Full name of the example.
        label: Id of its label.
        problem: Why it has no vector, as `REASON: message`.
    """

    example: str
    label: str
    problem: str


@dataclass(frozen=True, slots=True)
class Reembedding:
    """The state of a re-embedding.

    `example_count` is the sum of `embedded_count`, `left_count` and `failed_count`.

    Attributes:
        collection: Full name of the collection.
        current: The backbone that the collection answers with.
        shadow: The other backbone, which the collection answers with after `switch_backbone`.
        switched: Whether the collection was switched, so that `shadow` is its former backbone.
        example_count: Number of examples.
        embedded_count: Examples with a vector of both backbones.
        left_count: Examples that are not embedded yet.
        failed_count: Examples that cannot be embedded.
        failures: The first of the examples that cannot be embedded, at most 1,000.
        labels_left_count: Labels whose prompts are not embedded yet.
        labels_failed_count: Labels whose prompts cannot be embedded.
        set_aside_count: Examples that a switch with `force` removed until the collection is switched back.
        start_time: When the re-embedding started.
    """

    collection: str
    current: ReembeddingSide
    shadow: ReembeddingSide
    switched: bool
    example_count: int
    embedded_count: int
    left_count: int
    failed_count: int
    failures: tuple[ReembeddingFailure, ...]
    labels_left_count: int
    labels_failed_count: int
    set_aside_count: int
    start_time: datetime

    @property
    def done(self) -> bool:
        """True if nothing is left to embed."""
        return not self.left_count and not self.labels_left_count


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """The result of a switch to the other backbone.

    Cosines belong to one embedding space, so a switch changes them with the backbone. Switching back restores them.

    Attributes:
        collection: The collection after the switch.
        former_policy: Cosines of the decision policy that no longer apply.
        former_embedding_space_policy: Cosine of the embedding space policy that no longer applies.
        set_aside_count: Number of examples that this switch set aside.
    """

    collection: Collection
    former_policy: DecisionPolicy
    former_embedding_space_policy: EmbeddingSpacePolicy
    set_aside_count: int
