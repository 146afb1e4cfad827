"""The contract's enumerations. A value of a newer server than this client is UNSPECIFIED."""

from enum import Enum
from typing import TypeVar

E = TypeVar("E", bound=Enum)


class Modality(Enum):
    """What a backbone reads, or an example was enrolled as."""

    UNSPECIFIED = 0
    IMAGE = 1
    TEXT = 2
    VECTOR = 3


class Decision(Enum):
    """What to make of the best label."""

    UNSPECIFIED = 0
    MATCH = 1
    UNKNOWN = 2
    AMBIGUOUS = 3


class Head(Enum):
    """The function from a vector to label scores: the one that answered, or that a collection is pinned to.

    UNSPECIFIED: none answered; no head is pinned, and the ladder chooses by shots and leave-one-out.
    """

    UNSPECIFIED = 0
    CLASS_MEAN = 1
    PROMPTS = 2
    CLASS_MEAN_AND_PROMPTS = 3
    LDA = 4
    LDA_AND_PROMPTS = 5
    KERNEL_RIDGE = 6
    PROJECTED_RIDGE = 7
    NEIGHBORS = 8


class LabelMode(Enum):
    """Whether exactly one label is right (softmax) or any number may be (sigmoid)."""

    UNSPECIFIED = 0
    EXCLUSIVE = 1
    INDEPENDENT = 2


class LabelRole(Enum):
    """What a label's examples are: of one class, known strangers, or of classes nobody told.

    Only a class is ever an answer. What is nearest to a stranger is UNKNOWN; unlabelled examples show what their
    domain looks like.
    """

    UNSPECIFIED = 0
    CLASS = 1
    NEGATIVE = 2
    UNLABELED = 3


class CompactionState(Enum):
    """What became of a compaction."""

    UNSPECIFIED = 0
    RUNNING = 1
    DONE = 2
    FAILED = 3


def member(kind: type[E], value: int) -> E:
    """The member of a number."""
    try:
        return kind(value)
    except ValueError:
        return kind(0)
