"""A collection's policies: when it answers MATCH, and which embedding spaces it accepts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class DecisionPolicy:
    """Decides when the best label is a MATCH and when an input is UNKNOWN or AMBIGUOUS.

    `create_collection` and `update_collection` take a policy, and `Collection.policy` returns it. A field that is None
    is not set, so the default applies. docs/deciding.md explains the rules.

    Attributes:
        match_threshold: Cosine to the best label's mean, in [-1, 1], below which an input is UNKNOWN. Default:
            calculated from the rates below, or the backbone's own threshold while there are too few examples.
        match_margin: Lead over the second label in cosine, at least 0, below which an answer is AMBIGUOUS. Default:
            prediction sets decide, or the backbone's own margin while there are too few examples.
        false_reject_rate: Share of inputs of the collection's own labels that may be answered UNKNOWN, above 0 and at
            most 0.5. Default: 0.05. It needs 1 / rate - 1 examples: 19 for 0.05.
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
    """Decides which embedding spaces a collection accepts vectors from, apart from its own.

    Attributes:
        min_space_cosine: Smallest cosine, above 0 and at most 1, at which the vectors of a backbone that declares the
            collection's embedding space as its parent are accepted (`Backbone.parent_min_cosine`). Default: only
            vectors of the collection's own space are accepted.
    """

    min_space_cosine: float | None = None


Policy = DecisionPolicy | EmbeddingSpacePolicy


def set_fields(policy: Policy | None) -> Iterator[tuple[str, float]]:
    """Yields the name and value of every field that is set."""
    for field in fields(policy) if policy else ():
        value = getattr(policy, field.name)
        if value is not None:
            yield field.name, value


def check_reset(reset: Sequence[str], *policies: Policy | None) -> None:
    """Checks the names of policy fields to reset.

    Raises:
        ValueError: If a name is not a field of a policy, or the same call also sets it.
    """
    known = {field.name for kind in (DecisionPolicy, EmbeddingSpacePolicy) for field in fields(kind)}
    if unknown := sorted(set(reset) - known):
        raise ValueError(f"unknown policy field {unknown[0]!r} in reset; the fields are {', '.join(sorted(known))}")
    if both := sorted(set(reset) & {name for policy in policies for name, _ in set_fields(policy)}):
        raise ValueError(f"{both[0]} is set and reset in one call; remove it from one of them")
