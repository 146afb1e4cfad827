"""What a collection knows of itself, from its last fit, as the contract says it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from glimpse.fewshot import Fitted, HeadKind, Policy
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import is_better_prediction
from glimpse.fewshot.predict import is_calibrated
from glimpse.fewshot.statistics.confidence_interval import wilson_interval
from glimpse.server.classification.advice import advice
from glimpse.server.collections.collection import CollectionView, can_answer
from glimpse.server.proto_enums import HEADS
from glimpse.server.resource_names import example_name
from glimpse.v1 import collection_service_pb2 as pb

_TOLD, _MOST_LABELS = 20, 1_000


def check(view: CollectionView, policy: Policy) -> pb.GetCollectionReportResponse:
    """From what a collection was last fitted to."""
    head = view.engine.head()
    judged = view.engine.evaluation(head.kind) if view.engine.lda.dense else None
    response = pb.GetCollectionReportResponse(
        revision=view.record.revision if view.engine.is_current else view.fitted_revision,
        head=HEADS[head.kind],
        head_reason=head.reason,
        calibrated=is_calibrated(judged, policy, independent=view.independent),
    )
    fitted, chosen = view.engine.fitted, view.engine.chosen_evaluation
    if fitted and chosen and chosen.count:
        _tell_accuracy(response, fitted, chosen)
        _tell_examples(response, view, fitted, chosen)
    by_rates = judged is not None and policy.threshold is None and not view.independent
    if judged and by_rates:
        _tell_rates(response, judged, policy)
    response.labels.extend(_labels(view, fitted, chosen))
    counts, below = view.engine.lda.moments.counts.astype(int).tolist(), view.examples.attachment
    unlabeled = below.unlabeled_count if below else 0
    response.advice.extend(advice(response, counts, by_rates=by_rates, unlabeled=unlabeled))
    return response


def proportion(right: int, count: int) -> pb.Proportion:
    """With its interval; of none, unset but for the count."""
    if not count:
        return pb.Proportion()
    low, high = wilson_interval(right, count)
    return pb.Proportion(value=right / count, low=low, high=high, count=count)


def _tell_accuracy(response: pb.GetCollectionReportResponse, fitted: Fitted, chosen: HeadEvaluation) -> None:
    response.accuracy.CopyFrom(proportion(chosen.correct, chosen.count))
    heads = [one for kind, one in fitted.evaluations.items() if kind is not HeadKind.PROMPTS]
    for one in sorted(heads, key=lambda one: -one.correct):
        response.heads.add(head=HEADS[one.kind], accuracy=proportion(one.correct, one.count))
    if prompts := fitted.evaluations.get(HeadKind.PROMPTS):
        response.zero_shot_accuracy.CopyFrom(proportion(prompts.correct, prompts.count))
        response.negative_transfer = is_better_prediction(prompts.predicted, chosen.predicted, fitted.rows)
    for trial in fitted.adaptation_trials:
        kept = trial.name == (fitted.adaptation.name if fitted.adaptation else "none")
        response.adaptations.add(method=trial.name, accuracy=proportion(trial.right, trial.total), kept=kept)


def _tell_examples(
    response: pb.GetCollectionReportResponse, view: CollectionView, fitted: Fitted, chosen: HeadEvaluation
) -> None:
    suspects = chosen.suspects(fitted.rows)
    wrong = np.sort(suspects)
    pairs = Counter(zip(fitted.rows[wrong].tolist(), chosen.predicted[wrong].tolist(), strict=True))
    for (row, said), count in pairs.most_common(_TOLD):
        response.confusions.add(label_id=fitted.labels[row], answered_label_id=fitted.labels[said], count=count)
    for place in suspects[:_TOLD]:
        example = view.examples.example(int(view.fitted_ids[fitted.sampled[place]]))
        if example is None:
            continue
        response.suspects.add(
            example=example_name(view.record.id, example[0]),
            label_id=example[1],
            answered_label_id=fitted.labels[chosen.predicted[place]],
            probability=float(chosen.predicted_probability[place]),
        )


def _tell_rates(response: pb.GetCollectionReportResponse, judged: HeadEvaluation, policy: Policy) -> None:
    typicality = judged.typicality
    least = typicality.min_fit(policy.false_reject, policy.false_accept)
    if least is None:
        return
    strangers = typicality.negatives if len(typicality.negatives) else typicality.label_left_out
    response.false_reject.CopyFrom(proportion(int((typicality.fits < least).sum()), typicality.count))
    response.false_accept.CopyFrom(proportion(int((strangers >= least).sum()), len(strangers)))
    response.measured_on_negatives = bool(len(typicality.negatives))


def _labels(view: CollectionView, fitted: Fitted | None, chosen: HeadEvaluation | None) -> Sequence[pb.LabelFigures]:
    if not view.engine.lda.dense:  # one by one they tell nothing
        return []
    measured: dict[str, tuple[int, int]] = {}
    if fitted and chosen:
        right, of = np.zeros(len(fitted.labels), int), np.bincount(fitted.rows, minlength=len(fitted.labels))
        np.add.at(right, fitted.rows, chosen.predicted == fitted.rows)
        measured = {label: (int(a), int(b)) for label, a, b in zip(fitted.labels, right, of, strict=True)}
    ids = [label.id for label in view.labels.values() if can_answer(label)]
    middle = float(np.median([view.examples.count(label) for label in ids])) if ids else 0.0
    overall = chosen.accuracy if chosen and chosen.count else 1.0
    found = []
    for label in ids:
        count, (correct, of_label) = view.examples.count(label), measured.get(label, (0, 0))
        figures = proportion(correct, of_label) if of_label else None
        few = count < max(2.0, middle / 2)
        needs_more = few or bool(figures and figures.high < overall)
        found.append(pb.LabelFigures(label_id=label, example_count=count, accuracy=figures, needs_more=needs_more))
    found.sort(key=lambda one: (not one.needs_more, one.accuracy.value if one.HasField("accuracy") else -1.0))
    return found[:_MOST_LABELS]
