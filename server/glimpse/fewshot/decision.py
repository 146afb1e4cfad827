"""Turns the evidence for the best label into a decision with a reason."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Array, Floats

# The scale of cosines to examples: temperature 0.07, as in weighted kNN on frozen features (Wu et al. 2018).
EXAMPLE_SCALE = 1 / 0.07
# Below this probability the best label is ambiguous.
LIKELY = 0.5
# A text with a greater part of unknown tokens is UNKNOWN while prompts alone answer.
MOSTLY = 0.5


class Decision(Enum):
    """The decision about an input."""

    MATCH = "match"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules by which the best label is accepted.

    Attributes:
        threshold: least cosine to the label's centre. If set, it alone decides UNKNOWN.
        margin: least lead over the second label in cosine. If set, it alone decides AMBIGUOUS.
        default_threshold: used while there are too few examples to calibrate; None accepts any cosine.
        default_margin: used while there is no prediction set; None decides by probability.
        false_reject: target rate of known inputs that are called UNKNOWN.
        false_accept: target rate of inputs out of distribution that are accepted; replaces `false_reject` if set.
        coverage: target rate at which the prediction set contains the right label.
    """

    threshold: float | None = None
    margin: float | None = None
    default_threshold: float | None = None
    default_margin: float | None = None
    false_reject: float = 0.05
    false_accept: float | None = None
    coverage: float = 0.9


@dataclass(frozen=True, slots=True)
class Evidence:
    """Collects what is known about one input and its best label. Cosines are to the label's centre; None: unknown."""

    probability: float
    similarity: float
    #: Lead over the second label, in cosine.
    lead: float | None
    #: Cosine to the nearest example of a label, and to the nearest negative example; -1 if there is none.
    nearest: float
    nearest_negative: float
    #: Whether the best label has examples, not only text.
    has_examples: bool = True
    #: The measure of fit, its threshold, and the fraction of the examples that fit no better.
    fit: float | None = None
    min_fit: float | None = None
    p_value: float | None = None
    #: The number of labels in the prediction set; 0 if none was made.
    set_size: int = 0
    #: The background's probability, if it competed, and the part of a text's tokens that the backbone does not know.
    background: float | None = None
    unknown_tokens: float = 0.0


def softmax(scores: Array | Floats, scale: float) -> Floats:
    """Returns probabilities of exclusive labels: softmax of `scores * scale` over the columns, `(n, C)` → `(n, C)`
    float64.
    """
    scaled = np.multiply(scores, scale, dtype=np.float64)
    scaled -= np.maximum.reduce(scaled, axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= np.add.reduce(scaled, axis=1, keepdims=True)
    return scaled


def decide(evidence: Evidence, policy: Policy) -> tuple[Decision, str]:
    """Decides between MATCH, UNKNOWN and AMBIGUOUS for exclusive labels.

    Returns:
        The decision, and the rule that made it as a sentence for people.
    """
    if reason := _unknown(evidence, policy):
        return Decision.UNKNOWN, reason
    if reason := _ambiguous(evidence, policy):
        return Decision.AMBIGUOUS, reason
    return Decision.MATCH, _known(evidence, policy)


def _known(evidence: Evidence, policy: Policy) -> str:
    """Returns the rule by which an input is not UNKNOWN: the same rule that `_unknown` uses."""
    if policy.threshold is not None:
        return f"cosine {evidence.similarity:.3f} reaches the collection's threshold {policy.threshold:g}"
    if evidence.background is not None:
        return f"stands out from the background, which has a probability of {evidence.background:.2f}"
    if evidence.fit is not None and evidence.min_fit is not None:
        if policy.false_accept is not None:
            return f"fits better than all but {policy.false_accept:.0%} of the inputs out of distribution do"
        if evidence.p_value is not None:
            return f"fits as well as {evidence.p_value:.0%} of the examples do, or better"
    if policy.default_threshold is not None:
        return f"cosine {evidence.similarity:.3f} reaches the default threshold {policy.default_threshold:g}"
    return f"no rule rejects it; cosine {evidence.similarity:.3f}"


def _unknown(evidence: Evidence, policy: Policy) -> str | None:
    if reason := _unreadable(evidence):
        return reason
    if evidence.nearest_negative > evidence.nearest:
        return f"a negative example is nearer (cosine {evidence.nearest_negative:.3f}) than any example of a label"
    if policy.threshold is not None:
        if evidence.similarity < policy.threshold:
            return f"cosine {evidence.similarity:.3f} is under the collection's threshold {policy.threshold:g}"
        return None
    if evidence.fit is not None and evidence.min_fit is not None:
        if evidence.fit < evidence.min_fit:
            if evidence.background is not None:
                return f"does not stand out from the background, which has a probability of {evidence.background:.2f}"
            if evidence.p_value is None:
                return "it fits no better than inputs out of distribution do"
            return (
                f"only {evidence.p_value:.1%} of the examples fit as badly, "
                "or it fits no better than inputs out of distribution do"
            )
        if evidence.p_value is not None or policy.false_accept is not None:
            return None
    if policy.default_threshold is not None and evidence.similarity < policy.default_threshold:
        return f"cosine {evidence.similarity:.3f} is under the default threshold {policy.default_threshold:g}"
    return None


def _unreadable(evidence: Evidence) -> str | None:
    """Returns why a text cannot be compared: if most of its tokens are unknown, its vector is not about them."""
    if evidence.unknown_tokens <= MOSTLY:
        return None
    return f"{evidence.unknown_tokens:.0%} of the text's tokens are unknown to the backbone"


def _ambiguous(evidence: Evidence, policy: Policy) -> str | None:
    margin = policy.margin
    if margin is None:
        if evidence.set_size > 1:
            return f"{evidence.set_size} labels are needed to hold the right one in {policy.coverage:.0%} of cases"
        margin = None if evidence.set_size else policy.default_margin
    if margin is None:
        if evidence.probability >= LIKELY:
            return None
        return f"its probability {evidence.probability:.2f} is under {LIKELY:g}"
    if evidence.lead is not None and evidence.lead < margin:
        return f"its lead in cosine {evidence.lead:.3f} is under {margin:g}"
    return None


def decide_independent(evidence: Evidence) -> tuple[Decision, str]:
    """Decides for independent labels: MATCH if at least one is as likely as not, else UNKNOWN."""
    if reason := _unreadable(evidence):
        return Decision.UNKNOWN, reason
    if evidence.nearest_negative > evidence.nearest:
        return (
            Decision.UNKNOWN,
            f"a negative example is nearer (cosine {evidence.nearest_negative:.3f}) than any example of a label",
        )
    if not evidence.set_size:
        return Decision.UNKNOWN, f"no label is as likely as not; the best is {evidence.probability:.2f}"
    subject = "one label is" if evidence.set_size == 1 else f"{evidence.set_size} labels are"
    return Decision.MATCH, f"{subject} at least as likely as not"


def top_columns(scores: Array, k: int) -> npt.NDArray[np.intp]:
    """Returns the columns of the k greatest scores per row, greatest first: `(n, C)` → `(n, min(k, C))`."""
    labels = scores.shape[1]
    if labels > 4 * k:
        candidates = np.argpartition(scores, labels - k, axis=1)[:, labels - k :]  # (n, k)
        order = np.argsort(-np.take_along_axis(scores, candidates, 1), axis=1, kind="stable")
        return np.take_along_axis(candidates, order, axis=1)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]
