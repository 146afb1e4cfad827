"""The policies of a collection: when its answer is a MATCH, and which embedding spaces it accepts."""

from collections.abc import Sequence
from dataclasses import dataclass, fields


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
    """

    match_threshold: float | None = None
    match_margin: float | None = None
    false_reject_rate: float | None = None
    false_accept_rate: float | None = None
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingSpacePolicy:
    """Decides which vectors of other embedding spaces a collection accepts.

    Attributes:
        min_space_cosine: Smallest cosine, above 0 and at most 1. The collection also accepts vectors of a backbone
            that declares the collection's embedding space as its parent and keeps at least this cosine to it
            (`Backbone.parent_min_cosine`). Default: only vectors of the collection's own space are accepted.
    """

    min_space_cosine: float | None = None


Policy = DecisionPolicy | EmbeddingSpacePolicy
_PATHS = {
    **{field.name: f"policy.{field.name}" for field in fields(DecisionPolicy)},
    **{field.name: f"embedding_space_policy.{field.name}" for field in fields(EmbeddingSpacePolicy)},
}


def set_fields(policy: Policy | None) -> dict[str, float]:
    """Returns the fields of a policy that are set, by name."""
    values = {field.name: getattr(policy, field.name) for field in fields(policy)} if policy else {}
    return {name: value for name, value in values.items() if value is not None}


def policy_path(name: str) -> str:
    """Returns the path of a policy field in a Collection message."""
    return _PATHS[name]


def check_reset(reset: Sequence[str], policy: Policy | None, embedding_space_policy: Policy | None) -> None:
    """Checks the names of the policy fields to reset.

    Raises:
        ValueError: If a name is not a field of a policy, or the same call also sets it.
    """
    if unknown := sorted(set(reset) - set(_PATHS)):
        raise ValueError(f"unknown policy field {unknown[0]!r} in reset; the fields are {', '.join(_PATHS)}")
    if both := sorted(set(reset) & {*set_fields(policy), *set_fields(embedding_space_policy)}):
        raise ValueError(f"{both[0]} is set and reset in one call; do only one of the two")
