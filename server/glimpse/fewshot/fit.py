"""Fits every head to a collection's examples and evaluates it by leave-one-out. Takes seconds; run it in a thread."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration.background_vocabulary import References
from glimpse.fewshot.calibration.calibration import best_temperature
from glimpse.fewshot.calibration.fit_context import FitContext
from glimpse.fewshot.calibration.independent_labels import IndependentCalibration, IndependentRegression
from glimpse.fewshot.calibration.left_out_cosines import LeftOutCosines
from glimpse.fewshot.calibration.likeliest_labels import LikeliestLabels
from glimpse.fewshot.calibration.open_set import PooledGaussian, Typicality, max_softmax, nearest_other_similarities
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.domains.adaptation_selection import AdaptationTrial
from glimpse.fewshot.domains.domains import Adaptation
from glimpse.fewshot.domains.unlabelled_target import Agreement
from glimpse.fewshot.examples import Examples
from glimpse.fewshot.heads.batch_heads import BatchHead, fit_batch_heads
from glimpse.fewshot.heads.class_mean import ClassMeanHead, leave_one_out_class_mean
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation, LeftOutMeasures
from glimpse.fewshot.heads.head_selection import MIN_SHOTS_TO_COMPARE, HeadKind, is_better
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.groups import is_grouped
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample

# The fewest examples from which prompts alone can replace LDA with text.
_ENOUGH = 16


@dataclass(frozen=True, slots=True)
class Fitted:
    """Every fitted head with its evaluation."""

    #: The labels, in the order of every head's score columns.
    labels: Sequence[str]
    #: The LDA head; the caller that adopts the fit may change it.
    lda: LdaHead
    #: The domain adaptation that was kept, and all that were tried.
    adaptation: Adaptation | None
    adaptation_trials: Sequence[AdaptationTrial]
    #: How the unlabelled domains answer, if the adaptation to them is allowed and nothing could be tried.
    agreement: Agreement | None
    pooled: PooledGaussian
    #: The examples that were left out, and the score columns of their labels: (n,) each.
    sampled: Rows
    rows: Rows
    evaluations: Mapping[HeadKind, HeadEvaluation]
    #: Used while no spread within labels is known: fit by the cosine to the nearest example, and for prompts by the
    #: greatest softmax probability. Neither has fits of known inputs.
    nearest_typicality: Typicality
    prompt_typicality: Typicality
    #: Used instead where a background competes with the prompts.
    references: References
    #: The selected or pinned head, the reason, and the head itself if it is fitted to all examples at once.
    chosen: HeadKind
    reason: str
    batch_head: BatchHead | None
    #: Set if labels are independent of each other: the curve of LDA, and that of `batch_head` if it was chosen.
    independent_calibration: IndependentCalibration | None
    regression_calibration: IndependentCalibration | None
    #: Squared Mahalanobis distances of examples to the mean of their label's others, ascending (see
    #: `FitContext.own_distances`).
    own_distances: Floats
    #: Cosines of the examples left out to the nearest other example: (n,).
    nearest: Floats
    #: Their cosines to the labels that the chosen head predicts; None if it was not evaluated.
    cosines: LeftOutCosines | None
    #: The number of examples that are left out together with another.
    grouped: int
    #: The likeliest labels of the examples left out by the chosen head; None if they were not asked for.
    likeliest: LikeliestLabels | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One head to compare: its scores of the examples, `(n, C)`, without each example and without its whole label."""

    kind: HeadKind
    left_out: Array | Floats
    alone: Array | Floats
    scores: Callable[[Array], Array]
    batch_head: BatchHead | None = None


def fit(
    examples: Examples,
    pinned: HeadKind | None = None,
    *,
    independent: bool = False,
    choice_only: bool = False,
    keep_likeliest: bool = False,
) -> Fitted:
    """Fits and evaluates every head that the examples allow, and selects one.

    Args:
        examples: the examples, negatives and unlabelled vectors.
        pinned: the head to use instead of the selected one, if the examples allow it.
        independent: True if any number of labels may hold for one input; then a regression on several-hot targets
            answers, or LDA, and nothing can be pinned.
        choice_only: True leaves out heads that would be reported and cannot be selected.
        keep_likeliest: True keeps the likeliest labels of the examples left out (see tree_figures.py).

    Returns:
        The heads and their evaluations. O(d³ + N d²) for LDA, O(N³) for kernel ridge (up to 4,000 examples), O(N m² +
        m³) for projected ridge with m = 2,000.
    """
    context = FitContext.of(examples)
    measures, spread = context.left_out_measures(examples), bool(context.lda.metric.freedom)
    regression = IndependentRegression.fit(examples, context) if independent else None
    candidates = {
        candidate.kind: candidate for candidate in _candidates(examples, context, pinned, independent, choice_only)
    }
    if regression:
        candidates[regression.kind] = _regression_candidate(regression, context)
    evaluations = {
        candidate.kind: HeadEvaluation.of(
            candidate.kind,
            candidate.left_out,
            candidate.alone,
            measures,
            candidate.scores(context.negatives),
            spread=spread,
            grown=context.growth(candidate.kind),
        )
        for candidate in candidates.values()
    }
    if independent:
        chosen, reason = _choose_independent(candidates, regression)
    else:
        chosen, reason = _choose(candidates, measures.rows, context.lda.moments.counts, pinned)
    evaluation = evaluations.get(chosen)
    return Fitted(
        context.lda.labels,
        context.lda,
        context.choice.kept,
        context.choice.trials,
        context.choice.agreement,
        context.pooled,
        context.sampled,
        measures.rows,
        evaluations,
        _fit_by_nearest(examples, context, measures),
        _fit_by_prompts(examples, context),
        References(examples.unlabeled_vectors, examples.negative_vectors),
        chosen,
        reason,
        candidates[chosen].batch_head if chosen in candidates else None,
        IndependentCalibration.of_lda(context) if independent and spread else None,
        regression.calibration if regression else None,
        context.own_distances(),
        measures.as_members.nearest,
        LeftOutCosines.of(context, examples, candidates[HeadKind.CLASS_MEAN].left_out, evaluation)
        if evaluation
        else None,
        int(is_grouped(context.groups, len(context.rows)).sum()),
        LikeliestLabels.of(candidates[chosen].left_out, evaluation.temperature)
        if evaluation and keep_likeliest
        else None,
    )


def _fit_by_nearest(examples: Examples, context: FitContext, measures: LeftOutMeasures) -> Typicality:
    sampled = sample(len(examples.vectors), context.sample_size)
    if np.array_equal(sampled, context.sampled):  # every label has two examples, so these neighbours are known already
        others = measures.label_left_out.nearest
    else:
        _, others = nearest_other_similarities(
            examples.vectors, context.rows, sampled, examples.contents, context.groups
        )
    return Typicality.of(np.empty((0, 1)), others[others > -1][:, None], measures.negatives.nearest[:, None])


def _fit_by_prompts(examples: Examples, context: FitContext) -> Typicality:
    texts, negatives = _texts(examples, context), None
    if texts is not None and len(context.negatives):
        negatives = max_softmax(context.negatives @ texts.T)[:, None]
    return Typicality.of(np.empty((0, 1)), None, negatives)


def _texts(examples: Examples, context: FitContext) -> Array | None:
    """Returns the directions of all labels' prompts, `(C, d)`, or None if a label has none."""
    if len(examples.texts) < len(context.lda.labels):
        return None
    return np.stack([np.asarray(examples.texts[label], np.float32) for label in context.lda.labels])


def _candidates(
    examples: Examples, context: FitContext, pinned: HeadKind | None, independent: bool, choice_only: bool
) -> Iterator[_Candidate]:
    moments, vectors, sampled = context.lda.moments, context.vectors, context.sampled
    scores = context.mask_further_labels(
        leave_one_out_class_mean(moments, vectors[sampled], context.rows[sampled], context.left_out_groups)
    )
    yield _Candidate(HeadKind.CLASS_MEAN, scores, scores, ClassMeanHead(moments).scores)
    if (texts := _texts(examples, context)) is not None:
        prompt_scores = context.mask_further_labels(vectors[sampled] @ texts.T)
        yield _Candidate(HeadKind.PROMPTS, prompt_scores, prompt_scores, lambda queries: queries @ texts.T)
    if context.lda.metric.freedom:
        yield _Candidate(HeadKind.LDA, context.left_out.scores, context.left_out.scores, context.lda.scores)
    if independent:
        return
    parts = fit_batch_heads(
        vectors, context.rows, context.lda, context.left_out.scores, sampled, pinned, context.groups, choice_only
    )
    for kind, batch_head, left_out, alone in parts:
        yield _Candidate(kind, left_out, alone, batch_head.scores, batch_head)


def _prompts_are_better(candidates: Mapping[HeadKind, _Candidate], rows: Rows) -> bool:
    """Returns whether prompts alone have less log-loss than LDA with text, by more than two standard errors.

    Some labels are clear from their texts and not from a few examples, such as moods. Prompts need no leaving out. With
    few examples the standard error itself is not known: at one standard error and 8 examples in all, prompts were
    chosen too often and cost 1.6 points on spam at 4 shots.
    """
    logs = []
    for kind in (HeadKind.PROMPTS, HeadKind.LDA):
        scores = candidates[kind].left_out
        own = softmax(scores, 1 / best_temperature(scores, rows))[np.arange(len(rows)), rows]
        # As in `log_loss`, no example counts as certain.
        logs.append(np.log(np.maximum(own, 1 / (len(rows) + 2))))
    gain = logs[0] - logs[1]
    return len(gain) >= _ENOUGH and bool(gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain)))


def _choose(
    candidates: Mapping[HeadKind, _Candidate], rows: Rows, counts: Floats, pinned: HeadKind | None
) -> tuple[HeadKind, str]:
    if pinned is not None and pinned in candidates:
        return pinned, "the collection asks for it"
    prefix = f"{pinned.value.replace('_', ' ')} was asked for, but the examples do not allow it; " if pinned else ""
    if HeadKind.LDA not in candidates:
        return HeadKind.CLASS_MEAN, f"{prefix}no label has two examples that differ"
    best, reason = HeadKind.LDA, "labels have two examples or more"
    enough = len(counts) > 0 and bool(counts.min() >= MIN_SHOTS_TO_COMPARE)
    if HeadKind.PROMPTS in candidates and _prompts_are_better(candidates, rows):
        return HeadKind.PROMPTS, f"{prefix}prompts alone have the least log-loss by leave-one-out"
    for kind in (HeadKind.KERNEL_RIDGE, HeadKind.PROJECTED_RIDGE):
        if kind in candidates and enough and is_better(candidates[kind].left_out, candidates[best].left_out, rows):
            best, reason = kind, "best by leave-one-out, by more than a standard error"
    if best is HeadKind.LDA and enough and HeadKind.KERNEL_RIDGE in candidates:
        reason = "no other head was better by leave-one-out by more than a standard error"
    return best, prefix + reason


def _regression_candidate(regression: IndependentRegression, context: FitContext) -> _Candidate:
    scores = context.mask_further_labels(regression.left_out)
    return _Candidate(regression.kind, scores, scores, regression.head.scores, regression.head)


def _choose_independent(
    candidates: Mapping[HeadKind, _Candidate], regression: IndependentRegression | None
) -> tuple[HeadKind, str]:
    if HeadKind.LDA not in candidates:
        return HeadKind.CLASS_MEAN, "no label has two examples that differ"
    if regression is None:
        return HeadKind.LDA, "a label has no example, so no regression can be fitted"
    if not regression.better:
        return HeadKind.LDA, "its probabilities of the examples, each left out, are better than those of the regression"
    return regression.kind, "its probabilities of the examples, each left out, are better than those of LDA"
