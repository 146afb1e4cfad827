"""Predicts with a classifier: scores, probabilities, measures of fit, and the decision for each query."""

from collections.abc import Sequence
from math import isfinite

import numpy as np

from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.comparable_scores import (
    Call,
    ComparableScores,
    exclusive_probabilities,
    independent_probabilities,
)
from glimpse.fewshot.composition import ComposedAnswers
from glimpse.fewshot.decision import (
    AnswerCost,
    Decision,
    Evidence,
    Policy,
    decide,
    decide_independent,
    top_columns,
)
from glimpse.fewshot.expected_cost import ExpectedCosts
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.label_policy import LabelRules
from glimpse.fewshot.label_tree import LabelTree, set_members
from glimpse.fewshot.rejection import is_calibrated
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
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
    call = Call(
        classifier, head.kind, evaluation, settings, classifier.adapt(queries, [domain] * len(queries)), nearest
    )
    scores = classifier.scores(head.kind, call.queries, candidates, centred=not settings.independent)
    if candidates is not None:
        # Rows of -inf alone would give NaN probabilities; `_prediction` handles these queries.
        scores[(candidates < 0).all(1)] = 0.0
    elif things is not None:
        scores = pool_views(scores, None if settings.independent else exclusive_probabilities(call, scores)[0], things)
    each, best = np.arange(len(scores))[:, None], top_columns(scores, max(top_k, 2))
    calibrated = ComparableScores.of(call, scores)
    composed = _composed(call, calibrated, is_complete=candidates is None)
    costs = _expected_costs(call, calibrated, candidates) if settings.policy.mistake_costs else None
    if costs:
        best = costs.answers_first(best)
    rows = best if candidates is None else candidates[each, best]
    # Lists, because single numbers of an array are slow to read.
    top_scores, probabilities = scores[each, best].tolist(), calibrated.probabilities[each, best].tolist()
    evidence = _evidence(call, calibrated, rows, probabilities)
    if costs:
        _add_costs(evidence, costs, calibrated)
    policies = _policies(call, rows, evidence)
    columns = (rows[:, :top_k].tolist(), top_scores, probabilities, evidence, policies)
    predictions = [_prediction(classifier.labels, settings, *query) for query in zip(*columns, strict=True)]
    if composed:
        composed.rank(predictions, top_k)
    if settings.tree and not settings.independent:
        _add_subtrees(settings.tree, predictions, call, scores, calibrated, candidates)
    return Predictions(head.kind, head.reason, is_calibrated(evaluation), predictions, scores, calibrated.fits.fits)


def _composed(call: Call, calibrated: ComparableScores, *, is_complete: bool) -> ComposedAnswers | None:
    """Answers the composed labels, and counts those that hold in the sizes of the prediction sets.

    Args:
        call: the call.
        calibrated: its comparable scores.
        is_complete: whether these are of all labels, and not of candidates alone.
    """
    composed, classifier = call.settings.composed, call.classifier
    if composed is None:
        return None
    found = [classifier.lda.moments.row(label) for label in composed.parts]
    known = [place for place, row in enumerate(found) if row is not None]
    rows = np.array([row for row in found if row is not None], np.intp)
    parts = np.full((len(call.queries), len(found)), np.nan)
    if is_complete:
        parts[:, known] = calibrated.probabilities[:, rows]
    else:
        each = np.broadcast_to(rows, (len(parts), len(rows)))
        scores = classifier.scores(call.kind, call.queries, each, centred=False)
        parts[:, known], _ = independent_probabilities(call, scores)
    answers = composed.answer(parts)
    calibrated.sizes[:] = map(sum, zip(calibrated.sizes, answers.held(), strict=True))
    return answers


def _evidence(
    call: Call, calibrated: ComparableScores, rows: Rows, probabilities: Sequence[Sequence[float]]
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


def _policies(call: Call, rows: Rows, evidence: Sequence[Evidence]) -> list[Policy]:
    """Returns the policy to decide each query by, with what the policies of the best labels replace."""
    policy = call.settings.policy
    if not policy.labels:
        return [policy] * len(rows)
    rules = LabelRules(call.classifier, call.evaluation, policy, independent=call.settings.independent)
    labels = call.classifier.labels
    best = [labels[row] if row >= 0 else "" for row in rows[:, 0].tolist()]
    return [rules.apply(label, each) for label, each in zip(best, evidence, strict=True)]


def _expected_costs(call: Call, calibrated: ComparableScores, candidates: Rows | None) -> ExpectedCosts | None:
    """Returns the answers by expected cost; None for independent labels, which are not mistaken for each other."""
    costs, probabilities = call.settings.policy.mistake_costs, calibrated.probabilities
    if costs is None or call.settings.independent:
        return None
    rows = np.broadcast_to(np.arange(probabilities.shape[1]), probabilities.shape) if candidates is None else candidates
    return ExpectedCosts.of(probabilities, rows, call.classifier.lda.moments.row, costs)


def _add_costs(evidence: Sequence[Evidence], costs: ExpectedCosts, calibrated: ComparableScores) -> None:
    for i, each in enumerate(evidence):
        probabilities, serious, size = calibrated.probabilities[i], costs.serious[i], each.set_size
        members = (-probabilities).argsort(kind="stable")[:size]
        each.cost = AnswerCost(
            float(costs.costs[i]),
            1 + int(serious[members].sum()) if size else 0,
            float(probabilities[serious].max(initial=0.0)),
        )


def _prediction(
    labels: Sequence[str],
    settings: DecisionSettings,
    rows: Sequence[int],
    scores: Sequence[float],
    probabilities: Sequence[float],
    evidence: Evidence,
    policy: Policy,
) -> Prediction:
    """Builds the prediction of one query.

    Args:
        labels: the labels that can score.
        settings: the decision settings.
        rows: rows of the best labels, best first, at most `top_k`.
        scores: their scores; two if `top_k` is 1.
        probabilities: their probabilities; two if `top_k` is 1.
        evidence: the evidence for the best label.
        policy: the policy to decide by.
    """
    if rows[0] < 0:
        return Prediction(Decision.UNKNOWN, "no candidate label")
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
        expected_cost=evidence.cost.expected if evidence.cost else None,
    )


def _add_subtrees(
    tree: LabelTree,
    predictions: Sequence[Prediction],
    call: Call,
    scores: Array,
    calibrated: ComparableScores,
    candidates: Rows | None,
) -> None:
    """Adds the subtree that holds the prediction set to each prediction, and names it where no label is sure."""
    labels, coverage = call.classifier.labels, call.settings.policy.coverage
    for i, prediction in enumerate(predictions):
        if not prediction.labels:
            continue
        known = np.flatnonzero(candidates[i] >= 0) if candidates is not None else slice(None)
        own = labels if candidates is None else [labels[row] for row in candidates[i, known].tolist()]
        probabilities = calibrated.probabilities[i, known]
        members = set_members(scores[i, known], probabilities, calibrated.sizes[i], coverage)
        prediction.subtree = subtree = tree.subtree(own, probabilities, members)
        subtree.probability *= 1.0 - (prediction.background or 0.0)
        if prediction.decision is Decision.AMBIGUOUS and len(members) > 1:
            prediction.reason += f"; {subtree.description}"
