"""Measures how well inputs fit a collection, and selects the rule by which they are UNKNOWN.

| examples left out | rule |
|---|---|
| 6 or more | the p-value: at most the target rate, or 1 / (N + 1) if N examples are too few for it |
| fewer, and 20 labels or more | the cosine to the nearest example, compared with examples of different labels |
| fewer | nothing, except by negative examples or a cosine that the backbone declares |
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot.calibration.open_set import MIN_LEFT_OUT, Typicality, max_softmax
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import Policy, RejectBy, Rejection
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.statistics.unit_vectors import Array, Floats


@dataclass(frozen=True, slots=True)
class Fits:
    """The fit of n queries: measures and p-values, None where there is none, and the rule that they decide by."""

    fits: Sequence[float | None]
    p_values: Sequence[float | None]
    rejection: Rejection | None


def is_calibrated(evaluation: HeadEvaluation | None) -> bool:
    """Returns whether a head's answers are calibrated: at least 6 examples were left out to evaluate it.

    Its probabilities, prediction sets and p-values then rest on the collection's own examples, and the rate of false
    rejects is known. Answers, the report and the evaluation all use this one rule.

    Args:
        evaluation: the evaluation of the head that answers, or None.
    """
    return evaluation is not None and evaluation.typicality.count >= MIN_LEFT_OUT


def measure_fits(
    classifier: FewShotClassifier,
    kind: HeadKind,
    evaluation: HeadEvaluation | None,
    policy: Policy,
    queries: Array,
    nearest: Floats,
    scores: Array,
) -> Fits:
    """Measures how well queries fit.

    Args:
        classifier: the collection's classifier.
        kind: the head that answers.
        evaluation: its evaluation, or None.
        policy: the collection's policy.
        queries: `(n, d)` float32, as the heads see them.
        nearest: `(n,)`, cosines to the nearest example.
        scores: `(n, C)`, the head's scores.
    """
    unknown: Sequence[float | None] = [None] * len(scores)
    fitted = classifier.fitted
    if fitted is None:
        return Fits(unknown, unknown, None)
    if evaluation is not None and (is_calibrated(evaluation) or policy.false_accept is not None):
        typicality = evaluation.typicality
        measured = classifier.measures(kind, queries, nearest, scores, evaluation.temperature)
        rejection = _by_examples(typicality, policy)
        fits = typicality.combined_fits(measured)
        p_values = typicality.p_values(fits).tolist() if is_calibrated(evaluation) else unknown
        return Fits(fits.tolist(), p_values, rejection)
    if kind is HeadKind.PROMPTS:
        return Fits(max_softmax(scores).tolist(), unknown, _by_negatives(fitted.prompt_typicality, policy))
    labels = int((classifier.lda.moments.counts > 0).sum())
    return Fits(nearest.tolist(), unknown, _by_nearest(fitted.nearest_typicality, policy, labels))


def fits_left_out(classifier: FewShotClassifier, evaluation: HeadEvaluation, policy: Policy) -> Fits:
    """Returns the fits of the examples of the last fit, each left out, and the rule that they decide by.

    Args:
        classifier: the collection's classifier, with a fit.
        evaluation: the evaluation of the head that the fit chose.
        policy: the collection's policy.
    """
    fitted = classifier.fitted
    assert fitted is not None  # noqa: S101 (callers hold its evaluation)
    unknown: Sequence[float | None] = [None] * evaluation.count
    if evaluation.typicality.count and (is_calibrated(evaluation) or policy.false_accept is not None):
        rejection = _by_examples(evaluation.typicality, policy)
        if rejection:
            # By the others alone, the example at the threshold would be rejected, too.
            rejection = replace(rejection, min_fit=float(np.nextafter(rejection.min_fit, np.inf)))
        return Fits(evaluation.fits.tolist(), unknown, rejection)
    if evaluation.kind is HeadKind.PROMPTS:
        return Fits(unknown, unknown, None)
    labels = int((classifier.lda.moments.counts > 0).sum())
    return Fits(fitted.nearest.tolist(), unknown, _by_nearest(fitted.nearest_typicality, policy, labels))


def _by_examples(typicality: Typicality, policy: Policy) -> Rejection | None:
    least = typicality.min_fit(policy.false_reject, policy.false_accept)
    if least is None:
        return None
    if policy.false_accept is not None:
        return Rejection(RejectBy.FALSE_ACCEPTS, least, typicality.count)
    return Rejection(RejectBy.EXAMPLES, least, typicality.count, typicality.reject_rate(policy.false_reject))


def _by_negatives(typicality: Typicality, policy: Policy) -> Rejection | None:
    if policy.false_accept is not None:
        least = typicality.min_fit(0.0, policy.false_accept)
        return None if least is None else Rejection(RejectBy.FALSE_ACCEPTS, least, 0)
    ceiling = typicality.negative_ceiling
    return None if ceiling is None else Rejection(RejectBy.NEGATIVES, ceiling, len(typicality.negatives))


def _by_nearest(typicality: Typicality, policy: Policy, labels: int) -> Rejection | None:
    negatives = _by_negatives(typicality, policy)
    least = typicality.least_similarity(labels)
    # A cosine that the backbone declares is measured on inputs that belong together, which is better.
    if policy.false_accept is not None or policy.default_threshold is not None or least is None:
        return negatives
    if negatives is not None and negatives.min_fit >= least:
        return negatives
    return Rejection(RejectBy.OTHER_LABELS, least, len(typicality.label_left_out))
