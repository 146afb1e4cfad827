"""What an engine answers: scores, probabilities, how well an input fits, and the decision."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.calibration import set_floor
from glimpse.fewshot.calibration.open_set import max_softmax
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import (
    EXAMPLE_SCALE,
    Decision,
    Evidence,
    Policy,
    best,
    decide,
    decide_independent,
    softmax,
)
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows
from glimpse.fewshot.types import DecisionSettings, NearestSimilarities, Prediction, Predictions


def predict(
    engine: FewShotClassifier,
    queries: Array,
    nearest: NearestSimilarities,
    terms: DecisionSettings,
    top_k: int,
    candidates: Rows | None = None,
    domain: str = "",
) -> Predictions:
    """What the engine's head says of unit queries, (n, d).

    `candidates`: rows of the labels to score, (n, k), -1 for none; None: all. `domain`: of the queries, if it is known.
    """
    head = engine.head()
    if head.kind is HeadKind.NONE:
        return Predictions(head.kind, head.reason, False, [Prediction(Decision.UNKNOWN, head.reason) for _ in queries])
    evaluation = engine.evaluation(head.kind) if candidates is None else None
    asked = _Asked(engine, head.kind, evaluation, terms, engine.adapt(queries, [domain] * len(queries)), nearest)
    scores = engine.scores(head.kind, asked.queries, candidates)
    if candidates is not None:
        scores[(candidates < 0).all(1)] = 0.0  # told apart below: -inf alone would make NaN of probabilities
    order = best(scores, max(top_k, 2))
    rows = order if candidates is None else np.take_along_axis(candidates, order, 1)
    weighed = _Weighed.of(asked, scores)
    predictions = [
        _told(engine, signs, terms, rows[i, :top_k], scores[i, order[i]], weighed.probabilities[i, order[i]])
        for i, signs in enumerate(_signs(asked, weighed, order, rows))
    ]
    return Predictions(head.kind, head.reason, weighed.calibrated, predictions)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One call: n queries as the heads see them, and what they are judged by."""

    engine: FewShotClassifier
    kind: HeadKind
    evaluation: HeadEvaluation | None
    terms: DecisionSettings
    queries: Array
    nearest: NearestSimilarities


@dataclass(frozen=True, slots=True)
class _Weighed:
    """Scores made comparable: probabilities, (n, C), sizes of sets and how well each query fits, (n,)."""

    probabilities: Floats
    sizes: Sequence[int]
    fits: Sequence[float | None]
    p_values: Sequence[float | None]
    min_fit: float | None
    calibrated: bool

    @classmethod
    def of(cls, asked: _Asked, scores: Array) -> Self:
        probabilities, sizes = (_independent if asked.terms.independent else _exclusive)(asked, scores)
        fits, p_values, least = _fits(asked, scores)
        own = is_calibrated(asked.evaluation, asked.terms.policy, independent=asked.terms.independent)
        return cls(probabilities, sizes, fits, p_values, least, own)


def _signs(asked: _Asked, weighed: _Weighed, order: Rows, rows: Rows) -> list[Evidence]:
    similarities = asked.engine.similarities(asked.queries, rows[:, :2])
    # A label of text alone has no example to be near to.
    shown = asked.engine.lda.moments.counts[rows[:, 0]] > 0
    found = []
    for i, cosines in enumerate(similarities.tolist()):
        by_fit = shown[i] or (asked.kind is HeadKind.PROMPTS and asked.evaluation is None)
        found.append(
            Evidence(
                float(weighed.probabilities[i, order[i, 0]]),
                cosines[0],
                cosines[0] - cosines[1] if len(cosines) > 1 and rows[i, 1] >= 0 else None,
                float(asked.nearest.examples[i]),
                float(asked.nearest.negatives[i]) if shown[i] else -1.0,
                bool(shown[i]),
                weighed.fits[i] if by_fit else None,
                weighed.min_fit,
                weighed.p_values[i] if by_fit else None,
                weighed.sizes[i],
            )
        )
    return found


def _told(
    engine: FewShotClassifier,
    signs: Evidence,
    terms: DecisionSettings,
    rows: Rows,
    scores: Array,
    probabilities: Floats,
) -> Prediction:
    """One query's answer from its best labels, best first: rows (k,), scores and probabilities (k or 2,)."""
    if rows[0] < 0:
        return Prediction(Decision.UNKNOWN, "no label comes into question")
    policy = terms.policy
    if not signs.shown:  # cosines to texts have no common level
        policy = replace(policy, default_threshold=None, default_margin=None)
    decision, reason = decide_independent(signs) if terms.independent else decide(signs, policy)
    told = [row for row in rows.tolist() if row >= 0]
    values = scores[np.isfinite(scores)].tolist()
    return Prediction(
        decision,
        reason,
        [engine.labels[row] for row in told],
        values[: len(told)],
        probabilities[: len(told)].tolist(),
        values[0] - values[1] if len(values) > 1 else None,
        signs.similarity,
        signs.p_value,
        signs.set_size,
    )


def _exclusive(asked: _Asked, scores: Array) -> tuple[Floats, list[int]]:
    """Probabilities of labels of which one is right, (n, C), and the sizes of their prediction sets."""
    evaluation, coverage = asked.evaluation, asked.terms.policy.coverage
    # Of very many labels a sample's temperature serves, where nothing else does.
    similar = evaluation or asked.engine.evaluation(asked.kind)
    default = asked.terms.prompt_scale if asked.kind is HeadKind.PROMPTS else EXAMPLE_SCALE
    probabilities = softmax(scores, 1 / similar.temperature if similar else default)
    floor = set_floor(evaluation.sorted_own_probability, coverage) if evaluation else None
    if floor is None:
        return probabilities, [0] * len(scores)
    sizes = (probabilities >= floor).sum(1)
    for i in np.flatnonzero(sizes == 0):
        # No label is as probable as the right ones mostly are: as many as are needed to be as sure.
        sizes[i] = 1 + int(np.searchsorted(np.cumsum(-np.sort(-probabilities[i])), coverage - 1e-9))
    return probabilities, np.minimum(sizes, scores.shape[1]).tolist()


def _independent(asked: _Asked, scores: Array) -> tuple[Floats, list[int]]:
    """Probabilities of labels by themselves, (n, C), and how many hold."""
    engine, terms, fitted = asked.engine, asked.terms, asked.engine.fitted
    if fitted and fitted.independent_calibration and engine.evaluation(asked.kind):
        around = fitted.background.distances(asked.queries)
        probabilities = fitted.independent_calibration.probabilities(around, engine.lda.lengths(asked.queries), scores)
    else:
        if asked.kind is HeadKind.PROMPTS:
            # Without a bias prompts tell which label is likelier, and not whether it is likely.
            scale, bias = terms.prompt_scale, -np.inf if terms.logit_bias is None else terms.logit_bias
        else:
            # As likely as not at the cosine from which on a label is believed by default.
            threshold = terms.policy.threshold if terms.policy.threshold is not None else terms.policy.default_threshold
            scale, bias = EXAMPLE_SCALE, -EXAMPLE_SCALE * (0.5 if threshold is None else threshold)
        probabilities = 0.5 + 0.5 * np.tanh((scale * scores.astype(np.float64) + bias) / 2)
    return probabilities, (probabilities >= 0.5).sum(1).tolist()


def _fits(asked: _Asked, scores: Array) -> tuple[Sequence[float | None], Sequence[float | None], float | None]:
    """How well each query fits, the part of the examples that fit no better, and how well it must.

    That part is not given where the examples are too few to decide by it.
    """
    engine, policy, nearest = asked.engine, asked.terms.policy, asked.nearest.examples
    unknown: Sequence[float | None] = [None] * len(scores)
    if engine.fitted is None or not engine.lda.dense:
        return unknown, unknown, None
    if asked.evaluation is None:
        prompts = asked.kind is HeadKind.PROMPTS
        nearest_typicality, fits = (
            (engine.fitted.prompt_typicality, max_softmax(scores))
            if prompts
            else (engine.fitted.nearest_typicality, nearest)
        )
        least = (
            nearest_typicality.ceiling
            if policy.false_accept is None
            else nearest_typicality.min_fit(0.0, policy.false_accept)
        )
        return nearest_typicality.combined_fits(fits[:, None]).tolist(), unknown, least
    typicality = asked.evaluation.typicality
    measured = engine.measures(asked.kind, asked.queries, nearest, scores, asked.evaluation.temperature)
    least = typicality.min_fit(policy.false_reject, policy.false_accept)
    p_values = unknown if least is None else typicality.p_values(measured).tolist()
    return typicality.combined_fits(measured).tolist(), p_values, least


def is_calibrated(evaluation: HeadEvaluation | None, policy: Policy, *, independent: bool) -> bool:
    """Whether answers rest on the collection's own examples and its policy, and not on the backbone's defaults.

    Args:
        judged: what leaving out says of the head that answers; None: nothing.
        policy: the collection's.
        independent: any number of labels may be right; then the rates and the coverage play no part.
    """
    if evaluation is None or independent:
        return evaluation is not None
    least = evaluation.typicality.min_fit(policy.false_reject, policy.false_accept)
    rejects = policy.threshold is not None or least is not None
    return rejects and (
        policy.margin is not None or set_floor(evaluation.sorted_own_probability, policy.coverage) is not None
    )
