"""What an answer is asked for with, and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.decision import Decision, Policy
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.statistics.unit_vectors import Floats


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """How scores are judged: the collection's policy, and what its backbone says of prompts."""

    policy: Policy
    prompt_scale: float
    #: Any number of labels may be right. With prompts alone that takes the backbone's logit bias.
    independent: bool = False
    logit_bias: float | None = None


@dataclass(frozen=True, slots=True)
class NearestSimilarities:
    """Cosines of n queries to the nearest example of a label, and to the nearest known stranger: (n,); -1: none."""

    examples: Floats
    negatives: Floats

    @classmethod
    def none(cls, count: int) -> "NearestSimilarities":
        """Where there is no example."""
        return cls(np.full(count, -1.0), np.full(count, -1.0))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is said of one query; labels best first, with their scores and probabilities."""

    decision: Decision
    reason: str
    labels: Sequence[str] = ()
    scores: Sequence[float] = ()
    probabilities: Sequence[float] = ()
    #: In score; None: there is no second label.
    margin: float | None = None
    similarity: float = 0.0
    p_value: float | None = None
    set_size: int = 0


@dataclass(frozen=True, slots=True)
class Predictions:
    """What is said of n queries, and by which head.

    `calibrated`: probabilities and decisions rest on the collection's own examples.
    """

    kind: HeadKind
    reason: str
    calibrated: bool
    predictions: Sequence[Prediction]
