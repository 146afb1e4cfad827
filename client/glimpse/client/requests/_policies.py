"""The policies of a collection: when its answer is a MATCH, which spaces it accepts, and which queries it keeps."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class MistakeCost:
    """The cost of answering one label where another one is the truth.

    Attributes:
        label: Id of the true label.
        answered: Id of the label that is answered instead.
        cost: The cost, from 0 to 1,000,000. A mistake without a `MistakeCost` costs 1.
    """

    label: str
    answered: str
    cost: float


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """Decides when the best label is a MATCH, and when an input is UNKNOWN or AMBIGUOUS.

    `create_collection` and `update_collection` take a policy, and `Collection.policy` returns it. A field that is None
    is not set, so its default applies. docs/deciding.md explains the rules.

    Attributes:
        match_threshold: Cosine to the best label's mean, in [-1, 1], below which an input is UNKNOWN. Default: the
            rates below decide, or with fewer than 6 examples left out the threshold of the backbone, if it has one.
        match_margin: Lead over the second label in cosine, at least 0, below which an answer is AMBIGUOUS. Default:
            prediction sets decide, and a probability below one half is AMBIGUOUS.
        false_reject_rate: Share of inputs of the collection's own labels that may be answered UNKNOWN, above 0 and at
            most 0.5. Default: 0.05. It needs 1 / rate - 1 examples, 19 for 0.05. With N fewer ones, but at least 6, the
            rate is 1 / (N + 1).
        false_accept_rate: Share of out-of-distribution inputs that may be answered with a label, above 0 and at most
            0.5. If it is set, it replaces `false_reject_rate`.
        coverage: Probability that the prediction set contains the right label, at least 0.5 and below 1. Default: 0.9.
            It needs coverage / (1 - coverage) examples: 9 for 0.9, 99 for 0.99.
        mistake_costs: Costs of mistakes that do not cost 1, at most 1,000. The answer is then the label of least
            expected cost, and AMBIGUOUS where that is one half or more. Default: the most probable label is the answer.
    """

    match_threshold: float | None = None
    match_margin: float | None = None
    false_reject_rate: float | None = None
    false_accept_rate: float | None = None
    coverage: float | None = None
    mistake_costs: tuple[MistakeCost, ...] | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingSpacePolicy:
    """Decides which vectors of other embedding spaces a collection accepts.

    Attributes:
        min_space_cosine: Smallest cosine, above 0 and at most 1. The collection also accepts vectors of a backbone
            that declares the collection's embedding space as its parent and keeps at least this cosine to it
            (`Backbone.parent_min_cosine`). Default: only vectors of the collection's own space are accepted.
    """

    min_space_cosine: float | None = None


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """Decides which queries of `classify` and `stream_classify` the server keeps, for people to review.

    `create_collection` and `update_collection` take a policy, and `Collection.review_policy` returns it. A field that
    is None is not set. docs/review.md explains the rules.

    Attributes:
        keep_unknown: Whether to keep queries with the decision UNKNOWN. Default: False.
        keep_ambiguous: Whether to keep queries with the decision AMBIGUOUS. Default: False.
        match_rate: Part of the queries with the decision MATCH to keep, from 0 to 1, to find confident errors.
            Default: 0.
        keep_inputs: Whether to keep the bytes of images and texts too, not only the vectors. Default: False.
        max_items: Largest number of items that wait, at most 100,000. 0, the default: 1,000.
        keep_days: Days until an item is deleted, at most 365. 0, the default: 30.
    """

    keep_unknown: bool | None = None
    keep_ambiguous: bool | None = None
    match_rate: float | None = None
    keep_inputs: bool | None = None
    max_items: int | None = None
    keep_days: int | None = None


Policy = DecisionPolicy | EmbeddingSpacePolicy | ReviewPolicy
_PATHS = {
    "review_policy": "review_policy",
    **{field.name: f"policy.{field.name}" for field in fields(DecisionPolicy)},
    **{field.name: f"embedding_space_policy.{field.name}" for field in fields(EmbeddingSpacePolicy)},
    **{field.name: f"review_policy.{field.name}" for field in fields(ReviewPolicy)},
}


def set_fields(policy: Policy | None) -> dict[str, Any]:
    """Returns the fields of a policy that are set, by name."""
    values = {field.name: getattr(policy, field.name) for field in fields(policy)} if policy else {}
    return {name: value for name, value in values.items() if value is not None}


def policy_path(name: str) -> str:
    """Returns the path of a policy field in a Collection message."""
    return _PATHS[name]


def check_reset(reset: Sequence[str], *policies: Policy | None) -> None:
    """Checks the names of the policy fields to reset.

    Raises:
        ValueError: If a name is not a field of a policy, or the same call also sets it.
    """
    if unknown := sorted(set(reset) - set(_PATHS)):
        raise ValueError(f"unknown policy field {unknown[0]!r} in reset; the fields are {', '.join(_PATHS)}")
    changed = {name for policy in policies for name in set_fields(policy)}
    if any(isinstance(policy, ReviewPolicy) for policy in policies):
        changed.add("review_policy")
    if both := sorted(set(reset) & changed):
        raise ValueError(f"{both[0]} is set and reset in one call; do only one of the two")
