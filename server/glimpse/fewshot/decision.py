"""Turns the evidence for the best label into a decision with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.expected_cost import MistakeCosts
from glimpse.fewshot.statistics.unit_vectors import Array, Floats

# The scale of cosines to examples: temperature 0.07, as in weighted kNN on frozen features (Wu et al. 2018).
EXAMPLE_SCALE = 1 / 0.07
# Below this probability the best label is ambiguous.
LIKELY = 0.5
# Without a prediction set, a best label that is less than this many times as probable as the next is ambiguous, too.
_ODDS = 2
# The expected cost of an answer from which it is ambiguous; without mistake costs it is 1 less the probability.
_COSTLY = 1 - LIKELY
# A text with a greater part of unknown tokens is UNKNOWN while prompts alone answer.
MOSTLY = 0.5
# Two labels that tie have 1/2 each, up to the rounding of float32 scores.
_ROUNDING = 1e-5


class RejectBy(Enum):
    """The evidence that the threshold of a rejection rests on."""

    BACKGROUND = "the background vocabulary of the backbone"
    EXAMPLES = "the examples, each left out"
    FALSE_ACCEPTS = "a rate of false accepts"
    LABEL_EXAMPLES = "the examples of the best label, each left out"
    NEGATIVES = "negative examples"
    OTHER_LABELS = "cosines between examples of different labels"


# Where these decide, the cosine that the backbone declares does not.
_CALIBRATED = (RejectBy.BACKGROUND, RejectBy.EXAMPLES, RejectBy.FALSE_ACCEPTS, RejectBy.LABEL_EXAMPLES)


@dataclass(frozen=True, slots=True)
class Rejection:
    """The rule that calls an input UNKNOWN if its fit is under a threshold.

    Attributes:
        by: what the threshold rests on.
        min_fit: the threshold.
        count: the number of examples that it rests on.
        rate: the expected rate of false rejects; None if it is not known.
    """

    by: RejectBy
    min_fit: float
    count: int
    rate: float | None = None


class Decision(Enum):
    """The decision about an input."""

    MATCH = "match"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True)
class LabelPolicy:
    """The rules that replace parts of a policy where a label is the best one.

    Attributes:
        threshold: least cosine to the label's centre; None: no own threshold.
        false_reject: target rate of the label's inputs that are called UNKNOWN; None: that of the policy.
        min_examples: with fewer examples the label is never a MATCH.
    """

    threshold: float | None = None
    false_reject: float | None = None
    min_examples: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules by which the best label is accepted.

    Attributes:
        threshold: least cosine to the label's centre. If set, it alone decides UNKNOWN.
        margin: least lead over the second label in cosine. If set, it alone decides AMBIGUOUS.
        default_threshold: least cosine that the backbone declares, used while too few examples can be left out; None if
            it declares none.
        false_reject: target rate of known inputs that are called UNKNOWN.
        false_accept: target rate of inputs out of distribution that are accepted; replaces `false_reject` if set.
        coverage: target rate at which the prediction set contains the right label.
        mistake_costs: the costs of mistakes that do not cost 1; None decides by probability.
        labels: the policies of labels that have one of their own; None if no label has.
        owner: whose threshold it is, for people.
    """

    threshold: float | None = None
    margin: float | None = None
    default_threshold: float | None = None
    false_reject: float = 0.05
    false_accept: float | None = None
    coverage: float = 0.9
    mistake_costs: MistakeCosts | None = None
    labels: Mapping[str, LabelPolicy] | None = None
    owner: str = "collection"


@dataclass(frozen=True, slots=True)
class AnswerCost:
    """The cost of an answer that may be wrong.

    Attributes:
        expected: the expected cost of the answer.
        set_size: the answer and the labels of the prediction set of which a mistake costs 1 or more; 0 without a set.
        next_probability: the greatest probability of a label of which a mistake costs 1 or more; 0 if there is none.
    """

    expected: float
    set_size: int
    next_probability: float


# Not frozen: there is one for each query, and a frozen dataclass takes five times as long to create.
@dataclass(slots=True)
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
    #: The measure of fit, the rule that it decides by, and the fraction of the examples that fit no better.
    fit: float | None = None
    rejection: Rejection | None = None
    p_value: float | None = None
    #: The number of labels in the prediction set; 0 if none was made.
    set_size: int = 0
    #: The probability of the second label; 0 if there is none.
    next_probability: float = 0.0
    #: The background's probability, if it competed, and the part of a text's tokens that the backbone does not know.
    background: float | None = None
    unknown_tokens: float = 0.0
    #: Why the best label may not be a match by its own policy, and what it costs as the answer if mistakes have costs.
    refusal: str | None = None
    cost: AnswerCost | None = None


def softmax(scores: Array | Floats, scale: float) -> Floats:
    """Returns probabilities of exclusive labels: softmax of `scores * scale` over the columns, `(n, C)` → `(n, C)`
    float64.
    """
    scaled = np.multiply(scores, scale, dtype=np.float64)
    scaled -= np.maximum.reduce(scaled, axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= np.add.reduce(scaled, axis=1, keepdims=True)
    return scaled


def log_max_softmax(scores: Array | Floats, scale: float) -> Floats:
    """Returns the log of each row's greatest probability of `softmax(scores, scale)`: `(n, C)` → `(n,)` float64."""
    below = scores - np.maximum.reduce(scores, axis=1, keepdims=True)
    return np.asarray(-np.log(np.add.reduce(np.exp(np.multiply(below, scale, dtype=np.float64)), axis=1)), np.float64)


def decide(evidence: Evidence, policy: Policy) -> tuple[Decision, str]:
    """Decides between MATCH, UNKNOWN and AMBIGUOUS for exclusive labels.

    Returns:
        The decision, and the rule that made it as a sentence for people.
    """
    if not evidence.has_examples:  # cosines to texts have no common scale
        policy = replace(policy, default_threshold=None)
    if reason := _unknown(evidence, policy):
        return Decision.UNKNOWN, reason
    if reason := _ambiguous(evidence, policy):
        return Decision.AMBIGUOUS, reason
    return Decision.MATCH, _known(evidence, policy)


def _known(evidence: Evidence, policy: Policy) -> str:
    """Returns the rule by which an input is not UNKNOWN: the same rule that `_unknown` uses."""
    if policy.threshold is not None:
        return f"cosine {evidence.similarity:.3f} reaches the {policy.owner}'s threshold {policy.threshold:g}"
    if evidence.background is not None:
        return f"stands out from the background, which has a probability of {evidence.background:.2f}"
    rejection = evidence.rejection if evidence.fit is not None else None
    if rejection and rejection.by is RejectBy.FALSE_ACCEPTS and policy.false_accept is not None:
        return f"fits better than all but {100 * policy.false_accept:.0f} % of the inputs out of distribution do"
    if rejection and rejection.by is RejectBy.EXAMPLES and evidence.p_value is not None:
        return f"fits as well as {100 * evidence.p_value:.0f} % of the examples do, or better"
    if rejection and rejection.by is RejectBy.LABEL_EXAMPLES and evidence.p_value is not None:
        return f"fits as well as {100 * evidence.p_value:.0f} % of the label's examples do, or better"
    if policy.default_threshold is not None:
        return f"cosine {evidence.similarity:.3f} reaches the threshold {policy.default_threshold:g} of the backbone"
    if rejection and rejection.by is RejectBy.OTHER_LABELS:
        return (
            f"its nearest example (cosine {evidence.nearest:.3f}) is as near as examples of different labels are "
            f"({rejection.min_fit:.3f}); no rate of false rejects is known"
        )
    return f"nothing rejects it, and no rate of false rejects is known; cosine {evidence.similarity:.3f}"


def _unknown(evidence: Evidence, policy: Policy) -> str | None:
    if reason := _unreadable(evidence) or evidence.refusal:
        return reason
    if evidence.nearest_negative > evidence.nearest:
        return f"a negative example is nearer (cosine {evidence.nearest_negative:.3f}) than any example of a label"
    if policy.threshold is not None:
        if evidence.similarity < policy.threshold:
            return f"cosine {evidence.similarity:.3f} is under the {policy.owner}'s threshold {policy.threshold:g}"
        return None
    rejection = evidence.rejection if evidence.fit is not None else None
    if rejection and evidence.fit is not None and evidence.fit < rejection.min_fit:
        return _misfit(evidence, rejection)
    if rejection and rejection.by in _CALIBRATED:
        return None
    if policy.default_threshold is not None and evidence.similarity < policy.default_threshold:
        return f"cosine {evidence.similarity:.3f} is under the threshold {policy.default_threshold:g} of the backbone"
    return None


def _misfit(evidence: Evidence, rejection: Rejection) -> str:
    """Returns why an input whose fit is under the threshold is UNKNOWN."""
    if rejection.by is RejectBy.BACKGROUND:
        return f"does not stand out from the background, which has a probability of {evidence.background:.2f}"
    if rejection.by is RejectBy.FALSE_ACCEPTS:
        return "it fits no better than inputs out of distribution do"
    if rejection.by is RejectBy.OTHER_LABELS:
        return (
            f"its nearest example (cosine {evidence.nearest:.3f}) is farther than examples of different labels are "
            f"({rejection.min_fit:.3f}); no rate of false rejects is known"
        )
    p_value = evidence.p_value
    if rejection.by is RejectBy.NEGATIVES or p_value is None or p_value > (rejection.rate or 0.0) + 1e-9:
        return "it fits no better than the negative examples do"
    own = rejection.by is RejectBy.LABEL_EXAMPLES
    if p_value * (rejection.count + 1) < 1.5:
        return (
            f"it fits worse than all {rejection.count} examples {'of the label ' if own else ''}that were left out, "
            f"as 1 in {rejection.count + 1} inputs of the label{'' if own else 's'} do"
        )
    whose = "label's " if own else ""
    return f"only {100 * p_value:.1f} % of the {whose}examples fit as badly"


def _unreadable(evidence: Evidence) -> str | None:
    """Returns why a text cannot be compared: if most of its tokens are unknown, its vector is not about them."""
    if evidence.unknown_tokens <= MOSTLY:
        return None
    return f"{100 * evidence.unknown_tokens:.0f} % of the text's tokens are unknown to the backbone"


def _ambiguous(evidence: Evidence, policy: Policy) -> str | None:
    if policy.margin is not None:
        if evidence.lead is not None and evidence.lead < policy.margin:
            return f"its lead in cosine {evidence.lead:.3f} is under {policy.margin:g}"
        return None
    if evidence.cost is not None:
        return _costly(evidence, evidence.cost, policy)
    if evidence.set_size > 1:
        return f"{evidence.set_size} labels are needed to hold the right one in {100 * policy.coverage:.0f} % of cases"
    if evidence.probability < LIKELY + _ROUNDING:
        return f"its probability {evidence.probability:.2f} is not over {LIKELY:g}"
    # With two labels one is always over 1/2, so the next label counts where no prediction set does.
    if not evidence.set_size and evidence.probability < _ODDS * evidence.next_probability:
        return (
            f"its probability {evidence.probability:.2f} is under {_ODDS} times the {evidence.next_probability:.2f} "
            "of the next label"
        )
    return None


def _costly(evidence: Evidence, cost: AnswerCost, policy: Policy) -> str | None:
    """Returns why an answer is ambiguous where mistakes have costs. If each costs 1, the rules are those above."""
    if cost.set_size > 1:
        return (
            f"{cost.set_size} labels, of which a mistake costs 1 or more, are needed to hold the right one in "
            f"{100 * policy.coverage:.0f} % of cases"
        )
    if cost.expected > _COSTLY - _ROUNDING:
        return f"its expected cost {cost.expected:.2f} is not under {_COSTLY:g}"
    if not cost.set_size and evidence.probability < _ODDS * cost.next_probability:
        return (
            f"its probability {evidence.probability:.2f} is under {_ODDS} times the {cost.next_probability:.2f} of the "
            "next label of which a mistake costs 1 or more"
        )
    return None


def decide_independent(evidence: Evidence) -> tuple[Decision, str]:
    """Decides for independent labels: MATCH if at least one is as likely as not, else UNKNOWN."""
    if reason := _unreadable(evidence) or evidence.refusal:
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
    return (-scores).argsort(axis=1, kind="stable")[:, :k]
