"""From what speaks for the best label and against it to a decision, with its reason."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Array, Floats

# The temperature of cosines to examples, as weighted kNN on frozen features uses it (Wu et al. 2018).
EXAMPLE_SCALE = 1 / 0.07
# With less than half of the probability, the best label is not clearly the best.
LIKELY = 0.5


class Decision(Enum):
    """What to make of the best label."""

    MATCH = "match"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class Policy:
    """When the best label is believed.

    A cosine or lead that is set holds whatever the examples say. Where it is None the examples decide, by the rates and
    the coverage; where they are too few, the defaults do (None: any cosine; the lead by probability).
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
    """What is known of an input and its best label. Cosines are to labels' centres; None: not known."""

    probability: float
    similarity: float
    #: Over the second label, in cosine.
    lead: float | None
    #: To the nearest example of the labels, and to the nearest known stranger; -1: none.
    nearest: float
    nearest_negative: float
    #: Whether the best label has examples.
    shown: bool = True
    #: How well it fits, how well it must, and the part of the examples that fit no better.
    fit: float | None = None
    min_fit: float | None = None
    p_value: float | None = None
    #: The labels in the prediction set; 0: none was made.
    set_size: int = 0


def softmax(scores: Array | Floats, scale: float) -> Floats:
    """Probabilities of labels of which one is right, from scores times `scale`: (n, C) → (n, C)."""
    scaled = np.multiply(scores, scale, dtype=np.float64)
    scaled -= np.maximum.reduce(scaled, axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= np.add.reduce(scaled, axis=1, keepdims=True)
    return scaled


def decide(signs: Evidence, policy: Policy) -> tuple[Decision, str]:
    """MATCH, UNKNOWN or AMBIGUOUS, and why."""
    if reason := _unknown(signs, policy):
        return Decision.UNKNOWN, reason
    if reason := _ambiguous(signs, policy):
        return Decision.AMBIGUOUS, reason
    return Decision.MATCH, _known(signs, policy)


def _known(signs: Evidence, policy: Policy) -> str:
    """By which rule an input is not UNKNOWN: the same that `_unknown` goes by."""
    if policy.threshold is not None:
        return f"cosine {signs.similarity:.3f} reaches the collection's threshold {policy.threshold:g}"
    if signs.fit is not None and signs.min_fit is not None:
        if policy.false_accept is not None:
            return f"fits better than all but {policy.false_accept:.0%} of strangers do"
        if signs.p_value is not None:
            return f"fits as well as {signs.p_value:.0%} of the examples do, or better"
    if policy.default_threshold is not None:
        return f"cosine {signs.similarity:.3f} reaches the default threshold {policy.default_threshold:g}"
    return f"nothing speaks against it; cosine {signs.similarity:.3f}"


def _unknown(signs: Evidence, policy: Policy) -> str | None:
    if signs.nearest_negative > signs.nearest:
        return f"a known stranger is nearer (cosine {signs.nearest_negative:.3f}) than any example of a label"
    if policy.threshold is not None:
        if signs.similarity < policy.threshold:
            return f"cosine {signs.similarity:.3f} is under the collection's threshold {policy.threshold:g}"
        return None
    if signs.fit is not None and signs.min_fit is not None:
        if signs.fit < signs.min_fit:
            if signs.p_value is None:
                return "it is no more like the labels than strangers are"
            return f"only {signs.p_value:.1%} of the examples fit as badly, or it fits no better than strangers do"
        if signs.p_value is not None or policy.false_accept is not None:
            return None
    if policy.default_threshold is not None and signs.similarity < policy.default_threshold:
        return f"cosine {signs.similarity:.3f} is under the default threshold {policy.default_threshold:g}"
    return None


def _ambiguous(signs: Evidence, policy: Policy) -> str | None:
    margin = policy.margin
    if margin is None:
        if signs.set_size > 1:
            return f"{signs.set_size} labels are needed to hold the right one in {policy.coverage:.0%} of cases"
        margin = None if signs.set_size else policy.default_margin
    if margin is None:
        if signs.probability >= LIKELY:
            return None
        return f"its probability {signs.probability:.2f} is under {LIKELY:g}"
    if signs.lead is not None and signs.lead < margin:
        return f"its lead in cosine {signs.lead:.3f} is under {margin:g}"
    return None


def decide_independent(signs: Evidence) -> tuple[Decision, str]:
    """Of labels that hold by themselves, `set_size` of them: MATCH or UNKNOWN, and why."""
    if signs.nearest_negative > signs.nearest:
        return Decision.UNKNOWN, f"a known stranger is nearer (cosine {signs.nearest_negative:.3f}) than any example"
    if not signs.set_size:
        return Decision.UNKNOWN, f"no label is as likely as not; the best is {signs.probability:.2f}"
    several = "one label is" if signs.set_size == 1 else f"{signs.set_size} labels are"
    return Decision.MATCH, f"{several} at least as likely as not"


def best(scores: Array, k: int) -> npt.NDArray[np.intp]:
    """Columns of the k greatest scores a row, greatest first: (n, C) → (n, min(k, C))."""
    labels = scores.shape[1]
    if labels > 4 * k:
        candidates = np.argpartition(scores, labels - k, axis=1)[:, labels - k :]  # (n, k)
        order = np.argsort(-np.take_along_axis(scores, candidates, 1), axis=1, kind="stable")
        return np.take_along_axis(candidates, order, axis=1)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]
