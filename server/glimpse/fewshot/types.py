"""The settings of a prediction, and its result."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration.background_vocabulary import Background
from glimpse.fewshot.composition import ComposedLabels
from glimpse.fewshot.decision import Decision, Policy
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.label_tree import LabelTree, Subtree
from glimpse.fewshot.statistics.unit_vectors import Array, Floats


@dataclass(frozen=True, slots=True)
class DecisionSettings:
    """The rules by which scores become decisions: the collection's policy and the backbone's prompt scale.

    Attributes:
        policy: the collection's policy.
        prompt_scale: the backbone's logit scale for cosines between inputs and prompts.
        independent: whether any number of labels may hold for one input.
        logit_bias: the backbone's logit bias (SigLIP); needed for independent labels with prompts alone.
        background: what competes with labels while prompts alone answer; None lets every input match.
        unknown_tokens: the part of each query's tokens that the backbone's vocabulary lacks, n of them; empty if no
            query is a text. While prompts alone answer, a query with more than half is UNKNOWN.
        composed: the labels that are composed of others, which must be independent; None if there are none.
        tree: the tree of the labels; None if no label has a parent. Independent labels have no use for it.
    """

    policy: Policy
    prompt_scale: float
    independent: bool = False
    logit_bias: float | None = None
    background: Background | None = None
    unknown_tokens: Sequence[float] = ()
    composed: ComposedLabels | None = None
    tree: LabelTree | None = None


@dataclass(frozen=True, slots=True)
class NearestSimilarities:
    """Cosines of n queries to the nearest example and the nearest negative example, `(n,)` float64; -1 if none."""

    examples: Floats
    negatives: Floats

    @classmethod
    def none(cls, count: int) -> "NearestSimilarities":
        """Returns the similarities of `count` queries to a collection without examples."""
        return cls(np.full(count, -1.0), np.full(count, -1.0))


# Not frozen: there is one for each query, and a frozen dataclass takes five times as long to create.
@dataclass(slots=True)
class Prediction:
    """The prediction for one query. Labels are ordered best first, with their scores and probabilities.

    If mistakes have costs, the label of least expected cost is the first, and the others are ordered by score.

    Attributes:
        decision: MATCH, UNKNOWN or AMBIGUOUS.
        reason: the rule that decided, as a sentence.
        labels: the best labels, at most `top_k`.
        scores: their scores by the head.
        probabilities: their probabilities.
        margin: the lead in score over the second label; None if there is none.
        similarity: cosine to the best label's centre.
        p_value: the fraction of the examples that fit no better; None if not calibrated or if the label has none.
        set_size: the size of the prediction set, or the number of independent labels that hold; 0 if there is none.
        background: the probability of the background; None if none competed. The labels share the rest.
        subtree: the part of the labels' tree that holds the prediction set; None without a tree.
        expected_cost: the expected cost of answering the first label; None if mistakes have no costs.
    """

    decision: Decision
    reason: str
    labels: Sequence[str] = ()
    scores: Sequence[float] = ()
    probabilities: Sequence[float] = ()
    margin: float | None = None
    similarity: float = 0.0
    p_value: float | None = None
    set_size: int = 0
    background: float | None = None
    subtree: Subtree | None = None
    expected_cost: float | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions for n queries.

    Attributes:
        kind: the head that answered.
        reason: why that head answered.
        calibrated: whether enough examples were left out to calibrate the answers (`is_calibrated`).
        predictions: one per query.
        scores: `(n, C)`, the head's scores, or `(n, k)` of candidates; `(n, 0)` if no label can score.
        fits: how well each query fits, by the rule that decides UNKNOWN; None where there is none.
    """

    kind: HeadKind
    reason: str
    calibrated: bool
    predictions: Sequence[Prediction]
    scores: Array
    fits: Sequence[float | None]
