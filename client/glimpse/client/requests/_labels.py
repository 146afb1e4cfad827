"""The policy of a label, and the labels that it is composed of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelPolicy:
    """Replaces parts of a collection's `DecisionPolicy` where this label is the best one.

    Attributes:
        match_threshold: Cosine to the label's mean, in [-1, 1], below which an input is UNKNOWN. None: the collection's
            policy decides.
        false_reject_rate: Share of inputs of this label that may be answered UNKNOWN, above 0 and at most 0.5. None:
            the collection's policy decides.
        min_examples: With fewer examples, at most 1,000,000, the label is never a MATCH.
    """

    match_threshold: float | None = None
    false_reject_rate: float | None = None
    min_examples: int = 0


@dataclass(frozen=True, slots=True)
class Composition:
    """Makes a label hold where all of some labels hold and none of some others.

    A composition has 1 to 32 labels in all. It needs a collection of independent labels.

    Attributes:
        labels: Ids of the labels that hold.
        not_labels: Ids of the labels that do not hold.
    """

    labels: tuple[str, ...] = ()
    not_labels: tuple[str, ...] = ()
