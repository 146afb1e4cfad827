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


def log_partition(scores: Array, scale: float) -> npt.NDArray[np.float64]:
    """The logarithm of softmax's denominator over scaled scores: (n, C) → (n,).

    A label's probability is exp(scale * score - log_partition), so that only those asked for are computed.
    """
    scaled = np.multiply(scores, scale, dtype=np.float64)
    most = np.maximum.reduce(scaled, axis=1)
    scaled -= most[:, None]
    np.exp(scaled, out=scaled)
    return np.asarray(most + np.log(np.add.reduce(scaled, axis=1)))


def decide(best: float, lead: float | None, probability: float, policy: Policy) -> Decision:
    """Decides from the best label's cosine, its lead over the second (None: there is none) and its probability."""
    if policy.threshold is not None and best < policy.threshold:
        return Decision.UNKNOWN
    if policy.margin is None:
        return Decision.MATCH if probability >= PROMPT_PROBABILITY else Decision.AMBIGUOUS
    return Decision.AMBIGUOUS if lead is not None and lead < policy.margin else Decision.MATCH
