"""From scores to probabilities and a decision.

Here with fixed thresholds: a cosine under which the best label is not believed, and a lead it must have. Thresholds
drawn from a collection's own leave-one-out scores are to come.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.vectors import Array

# The temperature of cosines to examples, as weighted kNN on frozen features uses it (Wu et al. 2018).
EXAMPLE_SCALE = 1 / 0.07
# Under half the probability, the best prompt is not clearly the best.
PROMPT_PROBABILITY = 0.5


class Decision(Enum):
    """What to make of the best label."""

    MATCH = "match"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Policy:
    """When the best label is believed: its cosine at least `threshold`, its lead at least `margin`.

    Threshold None: at any cosine, as text-image cosines have no common level. Margin None: by its probability.
    """

    threshold: float | None
    margin: float | None


def softmax(scores: Array, scale: float) -> npt.NDArray[np.float64]:
    """Probabilities over the last axis of scaled scores: (..., C) → (..., C)."""
    scaled = np.asarray(scores, np.float64) * scale
    scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    probabilities: npt.NDArray[np.float64] = scaled / scaled.sum(axis=-1, keepdims=True)
    return probabilities


def decide(best: float, lead: float | None, probability: float, policy: Policy) -> Decision:
    """Decides from the best label's cosine, its lead over the second (None: there is none) and its probability."""
    if policy.threshold is not None and best < policy.threshold:
        return Decision.UNKNOWN
    if policy.margin is None:
        return Decision.MATCH if probability >= PROMPT_PROBABILITY else Decision.AMBIGUOUS
    return Decision.AMBIGUOUS if lead is not None and lead < policy.margin else Decision.MATCH
