"""Predicts with a classifier: scores, probabilities, measures of fit, and the decision for each query."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isfinite
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.background_vocabulary import Competition
from glimpse.fewshot.calibration.calibration import set_floor, set_sizes
from glimpse.fewshot.calibration.independent_labels import likelihood_ratios
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import (
    EXAMPLE_SCALE,
    Decision,
    Evidence,
    RejectBy,
    Rejection,
    decide,
    decide_independent,
    softmax,
    top_columns,
)
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.rejection import Fits, is_calibrated, measure_fits
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows
from glimpse.fewshot.types import DecisionSettings, NearestSimilarities, Prediction, Predictions
from glimpse.fewshot.views import pool_views


def predict(
    classifier: FewShotClassifier,
    queries: Array,
    nearest: NearestSimilarities,
    settings: DecisionSettings,
    top_k: int,
    candidates: Rows | None = None,
    domain: str = "",
    things: Rows | None = None,
) -> Predictions:
    """Scores and decides queries with the head that answers now.

    Args:
        classifier: the collection's classifier.
        queries: `(n, d)` float32, unit rows.
        nearest: cosines of the queries to their nearest examples.
        settings: the decision policy and the prompt scale.
        top_k: how many labels to return per query.
        candidates: `(n, k)` rows of the labels to score, -1 for none; None scores all.
        domain: the queries' domain, "" if it is unknown.
        things: `(m,)`, if the last m queries are views: the row of each one's thing, whose query is the mean direction
            of its views. The scores of a thing are pooled from its views, unless only candidates are scored.

    Returns:
        The head, whether it is calibrated, and one prediction per query.
    """
    head = classifier.head()
    if head.kind is HeadKind.NONE:
        nothing = [Prediction(Decision.UNKNOWN, head.reason) for _ in queries]
        none = np.empty((len(queries), 0), np.float32)
        return Predictions(head.kind, head.reason, False, nothing, none, [None] * len(queries))
    evaluation = classifier.evaluation(head.kind) if candidates is None else None
    call = _Call(
        classifier, head.kind, evaluation, settings, classifier.adapt(queries, [domain] * len(queries)), nearest
    )
    scores = classifier.scores(head.kind, call.queries, candidates, centred=not settings.independent)
    if candidates is not None:
        # Rows of -inf alone would give NaN probabilities; `_prediction` handles these queries.
        scores[(candidates < 0).all(1)] = 0.0
    elif things is not None:
        scores = pool_views(scores, None if settings.independent else _exclusive(call, scores)[0], things)
    each, best = np.arange(len(scores))[:, None], top_columns(scores, max(top_k, 2))
    rows = best if candidates is None else candidates[each, best]
    calibrated = _Calibrated.of(call, scores)
    # Lists, because single numbers of an array are slow to read.
    top_scores, probabilities = scores[each, best].tolist(), calibrated.probabilities[each, best].tolist()
    evidence = _evidence(call, calibrated, rows, probabilities)
    columns = (rows[:, :top_k].tolist(), top_scores, probabilities, evidence)
    predictions = [_prediction(classifier.labels, settings, *query) for query in zip(*columns, strict=True)]
    return Predictions(head.kind, head.reason, is_calibrated(evaluation), predictions, scores, calibrated.fits.fits)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: n queries as the heads see them, and what to decide them by."""

    classifier: FewShotClassifier
    kind: HeadKind
    evaluation: HeadEvaluation | None
    settings: DecisionSettings
    queries: Array
    nearest: NearestSimilarities


@dataclass(frozen=True, slots=True)
class _Calibrated:
    """Comparable scores: probabilities `(n, C)`, prediction set sizes and measures of fit `(n,)`."""

    probabilities: Floats
    sizes: Sequence[int]
    fits: Fits
    competition: Competition | None

    @classmethod
    def of(cls, call: _Call, scores: Array) -> Self:
        probabilities, sizes = (_independent if call.settings.independent else _exclusive)(call, scores)
        competition = _competition(call, scores)
        fits = measure_fits(
            call.classifier,
            call.kind,
            call.evaluation,
            call.settings.policy,
            call.queries,
            call.nearest.examples,
            scores,
        )
        if competition:
            rejection = Rejection(RejectBy.BACKGROUND, competition.min_fit, 0)
            fits = replace(fits, fits=competition.fits.tolist(), rejection=rejection)
        return cls(probabilities, sizes, fits, competition)


def _evidence(
    call: _Call, calibrated: _Calibrated, rows: Rows, probabilities: Sequence[Sequence[float]]
) -> list[Evidence]:
    """Collects the evidence for the best label of each query.

    Args:
        call: the call.
        calibrated: its comparable scores.
        rows: `(n, k)`, rows of the best labels, best first, of which there are two if the collection has two labels.
        probabilities: `(n, k)`, their probabilities.
    """
    first_two = rows[:, :2]
    similarities = call.classifier.similarities(call.queries, first_two).tolist()
    # A label with text alone has no example to be near.
    has_examples = (call.classifier.lda.moments.counts[rows[:, 0]] > 0).tolist()
    nearest, negatives = call.nearest.examples.tolist(), call.nearest.negatives.tolist()
    shares = calibrated.competition.shares.tolist() if calibrated.competition else [None] * len(similarities)
    by_prompts = call.kind is HeadKind.PROMPTS and call.evaluation is None
    unknown_tokens = (by_prompts and call.settings.unknown_tokens) or [0.0] * len(similarities)
    fits, results = calibrated.fits, []
    for i, (cosines, places) in enumerate(zip(similarities, first_two.tolist(), strict=True)):
        by_fit, has_second = has_examples[i] or by_prompts, len(places) > 1
        results.append(
            Evidence(
                probabilities[i][0],
                cosines[0],
                cosines[0] - cosines[1] if has_second and places[1] >= 0 else None,
                nearest[i],
                negatives[i] if has_examples[i] else -1.0,
                has_examples[i],
                fits.fits[i] if by_fit else None,
                fits.rejection,
                fits.p_values[i] if by_fit else None,
                calibrated.sizes[i],
                probabilities[i][1] if has_second else 0.0,
                shares[i],
                unknown_tokens[i],
            )
        )
    return results


def _prediction(
    labels: Sequence[str],
    settings: DecisionSettings,
    rows: Sequence[int],
    scores: Sequence[float],
    probabilities: Sequence[float],
    evidence: Evidence,
) -> Prediction:
    """Builds the prediction of one query.

    Args:
        labels: the labels that can score.
        settings: the decision settings.
        rows: rows of the best labels, best first, at most `top_k`.
        scores: their scores; two if `top_k` is 1.
        probabilities: their probabilities; two if `top_k` is 1.
        evidence: the evidence for the best label.
    """
    if rows[0] < 0:
        return Prediction(Decision.UNKNOWN, "no candidate label")
    policy = settings.policy
    if not evidence.has_examples:  # cosines to texts have no common scale
        policy = replace(policy, default_threshold=None)
    decision, reason = decide_independent(evidence) if settings.independent else decide(evidence, policy)
    known = [labels[row] for row in rows if row >= 0]
    values = [score for score in scores if isfinite(score)]
    rest = 1.0 - (evidence.background or 0.0)
    return Prediction(
        decision,
        reason,
        known,
        values[: len(known)],
        [probability * rest for probability in probabilities[: len(known)]],
        values[0] - values[1] if len(values) > 1 else None,
        evidence.similarity,
        evidence.p_value,
        evidence.set_size,
        evidence.background,
    )


def _competition(call: _Call, scores: Array) -> Competition | None:
    """Lets the background compete where prompts alone answer and no example says how well inputs fit."""
    background, classifier, policy = call.settings.background, call.classifier, call.settings.policy
    if background is None or call.kind is not HeadKind.PROMPTS or call.evaluation or call.settings.independent:
        return None
    min_fit = 0.0
    if classifier.fitted and classifier.lda.dense:
        min_fit = classifier.fitted.references.min_fit(
            background, partial(classifier.scores, call.kind), policy.false_reject, policy.false_accept
        )
    return background.compete(call.queries, scores, min_fit)


def _exclusive(call: _Call, scores: Array) -> tuple[Floats, list[int]]:
    """Returns probabilities of exclusive labels, `(n, C)`, and the sizes of their prediction sets.

    The floor of the sets rests on the probabilities of examples left out, which have fewer shots and are less certain.
    """
    evaluation, coverage = call.evaluation, call.settings.policy.coverage
    # With more labels than are scored at once, the temperature of a sample is the best there is.
    similar = evaluation or call.classifier.evaluation(call.kind)
    default = call.settings.prompt_scale if call.kind is HeadKind.PROMPTS else EXAMPLE_SCALE
    means = (HeadKind.CLASS_MEAN, HeadKind.CLASS_MEAN_AND_PROMPTS)
    if call.kind in means and (temperature := call.classifier.one_shot_temperature):
        default = 1 / temperature
    probabilities = softmax(scores, 1 / similar.answer_temperature if similar else default)
    floor = set_floor(evaluation.sorted_own_probability, coverage) if evaluation else None
    if floor is None:
        return probabilities, [0] * len(scores)
    return probabilities, set_sizes(probabilities, floor, coverage)


def _independent(call: _Call, scores: Array) -> tuple[Floats, list[int]]:
    """Returns probabilities of independent labels, `(n, C)`, and how many hold."""
    classifier, settings, fitted = call.classifier, call.settings, call.classifier.fitted
    if fitted and fitted.regression_calibration and call.kind in (HeadKind.KERNEL_RIDGE, HeadKind.PROJECTED_RIDGE):
        probabilities = fitted.regression_calibration.probabilities(scores)
    elif fitted and fitted.independent_calibration and classifier.evaluation(call.kind):
        values = likelihood_ratios(classifier.relative_lengths(call.queries), scores)
        probabilities = fitted.independent_calibration.probabilities(values)
    else:
        if call.kind is HeadKind.PROMPTS:
            # Without a bias, prompts rank the labels but say nothing about how likely each is.
            scale, bias = settings.prompt_scale, -np.inf if settings.logit_bias is None else settings.logit_bias
        else:
            # Probability 1/2 at the cosine that accepts a label by default.
            threshold = (
                settings.policy.threshold
                if settings.policy.threshold is not None
                else settings.policy.default_threshold
            )
            scale, bias = EXAMPLE_SCALE, -EXAMPLE_SCALE * (0.5 if threshold is None else threshold)
        probabilities = 0.5 + 0.5 * np.tanh((scale * scores.astype(np.float64) + bias) / 2)
    return probabilities, (probabilities >= 0.5).sum(1).tolist()
