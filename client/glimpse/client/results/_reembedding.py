"""A change of a collection's backbone that is under way."""

from dataclasses import dataclass
from datetime import datetime

from glimpse.client.requests._policies import DecisionPolicy, EmbeddingSpacePolicy
from glimpse.client.results._collection_report import CollectionReport
from glimpse.client.results._resources import Collection


@dataclass(frozen=True, slots=True)
class ReembeddingSide:
    """A collection by one of its two backbones. `figures`: what `check` tells of it; None: nobody asked for it.

    `loaded`: whether the server asked has a backbone of that space.
    """

    backbone: str
    embedding_space: str
    loaded: bool
    figures: CollectionReport | None


@dataclass(frozen=True, slots=True)
class ReembeddingFailure:
    """An example (its full name) of `label` that has no vector of the other side, and why."""

    example: str
    label: str
    problem: str


@dataclass(frozen=True, slots=True)
class Reembedding:
    """How far it is. `current` is what the collection answers by, `shadow` what a switch would make it answer by.

    `example_count` is the sum of the embedded, those left and those failed; `failures` are the first of these, at most
    1,000. `switched`: the shadow is what the collection was before. `set_aside_count`: taken out by a switch until it
    is switched back.
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
        """Whether nothing is left to be embedded."""
        return not self.left_count and not self.labels_left_count


@dataclass(frozen=True, slots=True)
class SwitchResult:
    """The collection after a switch, and the cosines of its policy that were in force and are no more (None: none)."""

    collection: Collection
    former_policy: DecisionPolicy
    former_embedding_space_policy: EmbeddingSpacePolicy
    set_aside_count: int
