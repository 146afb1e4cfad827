"""Turns the scores of a call into what queries can be compared by: probabilities, prediction sets, measures of fit."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.background_vocabulary import Competition
from glimpse.fewshot.calibration.calibration import set_floor, set_sizes
from glimpse.fewshot.calibration.independent_labels import likelihood_ratios
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import EXAMPLE_SCALE, RejectBy, Rejection, softmax
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.rejection import Fits, measure_fits
from glimpse.fewshot.statistics.unit_vectors import Array, Floats
from glimpse.fewshot.types import DecisionSettings, NearestSimilarities


@dataclass(frozen=True, slots=True)
class Call:
    """One call: n queries as the heads see them, and what to decide them by."""

    classifier: FewShotClassifier
    kind: HeadKind
    evaluation: HeadEvaluation | None
    settings: DecisionSettings
    queries: Array
    nearest: NearestSimilarities


@dataclass(frozen=True, slots=True)
class ComparableScores:
    """Comparable scores: probabilities `(n, C)`, prediction set sizes and measures of fit `(n,)`."""

    probabilities: Floats
    sizes: list[int]
    fits: Fits
    competition: Competition | None

    @classmethod
    def of(cls, call: Call, scores: Array) -> Self:
        """Calibrates the scores of a call, `(n, C)` or those of candidates, `(n, k)`."""
        of_labels = independent_probabilities if call.settings.independent else exclusive_probabilities
        probabilities, sizes = of_labels(call, scores)
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


def _competition(call: Call, scores: Array) -> Competition | None:
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


def exclusive_probabilities(call: Call, scores: Array) -> tuple[Floats, list[int]]:
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


def independent_probabilities(call: Call, scores: Array) -> tuple[Floats, list[int]]:
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
