"""The enumerations of the contract. A value that this client does not know is read as UNSPECIFIED."""

from enum import Enum, IntEnum
from typing import TypeVar

E = TypeVar("E", bound=Enum)


class Modality(Enum):
    """The kind of an input: an image, a text, or a vector that was computed elsewhere."""

    UNSPECIFIED = 0
    IMAGE = 1
    TEXT = 2
    VECTOR = 3


class Decision(Enum):
    """The decision on the best label.

    MATCH: the label is accepted. UNKNOWN: the input is out of distribution, like none of the labels. AMBIGUOUS: two
    labels or more are too close to each other. UNSPECIFIED: the input failed.
    """

    UNSPECIFIED = 0
    MATCH = 1
    UNKNOWN = 2
    AMBIGUOUS = 3


class Head(Enum):
    """A function from a vector to label scores.

    UNSPECIFIED as an argument lets the server choose a head by leave-one-out accuracy; in a result, no head answered.
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
    """The relation of labels: exactly one is right (EXCLUSIVE), or any number may be (INDEPENDENT)."""

    UNSPECIFIED = 0
    EXCLUSIVE = 1
    INDEPENDENT = 2


class LabelRole(Enum):
    """The role of a label's examples.

    CLASS: examples of one class; only such a label can be an answer. NEGATIVE: negative examples ("none of these"); an
    input nearest to one of them is UNKNOWN. UNLABELED: examples whose class is not known; they show their domain.
    """

    UNSPECIFIED = 0
    CLASS = 1
    NEGATIVE = 2
    UNLABELED = 3


class CompactionState(Enum):
    """The state of a compaction: RUNNING (or waiting), DONE or FAILED."""

    UNSPECIFIED = 0
    RUNNING = 1
    DONE = 2
    FAILED = 3


class Scope(IntEnum):
    """A permission. Each scope includes the ones before it; UNSPECIFIED is none."""

    UNSPECIFIED = 0
    READ = 1
    CLASSIFY = 2
    ENROLL = 3
    ADMIN = 4


def member(kind: type[E], value: int) -> E:
    """Returns the member with a number, or UNSPECIFIED if there is none."""
    try:
        return kind(value)
    except ValueError:
        return kind(0)
