"""The report of a collection, from its last fit."""

from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from glimpse.fewshot import Fitted, HeadKind, Policy, decide_left_out
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import is_better_prediction
from glimpse.fewshot.rejection import is_calibrated
from glimpse.server.classification.advice import advice
from glimpse.server.classification.cross_fitted import add_cross_fitted
from glimpse.server.classification.proportion import proportion
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.learning import can_answer
from glimpse.server.proto_enums import DECISIONS, HEADS
from glimpse.server.resource_names import example_name
from glimpse.v1 import classification_service_pb2
from glimpse.v1 import collection_service_pb2 as pb

# The most confusions and suspects in a report, and the most labels.
_MAX_ENTRIES, _MAX_LABELS = 20, 1_000
# The bytes at which the examples that were left out end: rows of an index may have names of 16,384 characters.
_MAX_LEFT_OUT_BYTES = 2 << 20


def build_report(
    view: CollectionView, policy: Policy, *, include_left_out: bool = False
) -> pb.GetCollectionReportResponse:
    """Builds the report of a collection under a policy, from its last fit; call it in the event loop's thread."""
    head = view.classifier.head()
    evaluation = view.classifier.evaluation(head.kind) if view.classifier.lda.dense else None
    response = pb.GetCollectionReportResponse(
        revision=view.record.revision if view.classifier.is_current else view.fitted_revision,
        head=HEADS[head.kind],
        head_reason=head.reason,
        calibrated=is_calibrated(evaluation),
    )
    fitted, chosen = view.classifier.fitted, view.classifier.chosen_evaluation
    if view.adapted:  # it has seen the examples, so leaving them out says nothing
        add_cross_fitted(response, view.adapted.lineage)
        chosen = None
    if fitted:
        response.grouped_count = fitted.grouped
    if fitted and chosen and chosen.count:
        _add_accuracy(response, fitted, chosen)
        _add_examples(response, view, fitted, chosen)
        if include_left_out:
            _add_left_out(response, view, fitted, chosen, policy)
    by_rates = evaluation is not None and policy.threshold is None and not view.independent
    if evaluation and by_rates:
        _add_rates(response, evaluation, policy)
    response.labels.extend(_labels(view, fitted, chosen))
    counts, attached = view.classifier.lda.moments.counts.astype(int).tolist(), view.examples.attached_index
    unlabeled = attached.unlabeled_count if attached else 0
    rate = policy.false_reject if policy.false_accept is None else 1.0
    response.advice.extend(advice(response, counts, by_rates=by_rates, false_reject=rate, unlabeled=unlabeled))
    return response


def _add_accuracy(response: pb.GetCollectionReportResponse, fitted: Fitted, chosen: HeadEvaluation) -> None:
    response.accuracy.CopyFrom(proportion(chosen.correct, chosen.count))
    heads = [evaluation for kind, evaluation in fitted.evaluations.items() if kind is not HeadKind.PROMPTS]
    for evaluation in sorted(heads, key=lambda evaluation: -evaluation.correct):
        response.heads.add(head=HEADS[evaluation.kind], accuracy=proportion(evaluation.correct, evaluation.count))
    if prompts := fitted.evaluations.get(HeadKind.PROMPTS):
        response.zero_shot_accuracy.CopyFrom(proportion(prompts.correct, prompts.count))
        response.negative_transfer = is_better_prediction(prompts.predicted, chosen.predicted, fitted.rows)
    for trial in fitted.adaptation_trials:
        kept = trial.name == (fitted.adaptation.name if fitted.adaptation else "none")
        response.adaptations.add(method=trial.name, accuracy=proportion(trial.right, trial.total), kept=kept)


def _add_examples(
    response: pb.GetCollectionReportResponse, view: CollectionView, fitted: Fitted, chosen: HeadEvaluation
) -> None:
    """Adds confusions and suspects: examples that the others classify as another label."""
    suspects, confident = chosen.suspects(fitted.rows), chosen.confident(fitted.rows)
    wrong = np.sort(suspects)
    pairs = Counter(zip(fitted.rows[wrong].tolist(), chosen.predicted[wrong].tolist(), strict=True))
    for (label, answered), count in pairs.most_common(_MAX_ENTRIES):
        response.confusions.add(label_id=fitted.labels[label], answered_label_id=fitted.labels[answered], count=count)
    for place in suspects[:_MAX_ENTRIES]:
        example = view.examples.example(int(view.fitted_ids[fitted.sampled[place]]))
        if example is None:
            continue
        response.suspects.add(
            example=example_name(view.record.id, example[0]),
            label_id=example[1],
            answered_label_id=fitted.labels[chosen.predicted[place]],
            probability=float(chosen.predicted_probability[place]),
            own_probability=float(chosen.own_probability[place]),
            confident=bool(confident[place]),
        )


def _add_left_out(
    response: pb.GetCollectionReportResponse,
    view: CollectionView,
    fitted: Fitted,
    chosen: HeadEvaluation,
    policy: Policy,
) -> None:
    """Adds every example that was left out, with its decision if labels are exclusive."""
    decisions = () if view.independent else decide_left_out(view.classifier, policy)
    ids, size = view.fitted_ids[fitted.sampled].tolist(), 0
    for place, (id, decision) in enumerate(zip_longest(ids, decisions)):
        example = view.examples.example(id)
        if example is None:
            continue
        message = response.left_out.add(
            example=example_name(view.record.id, example[0]),
            label_id=example[1],
            answered_label_id=fitted.labels[chosen.predicted[place]],
            probability=float(chosen.predicted_probability[place]),
            own_probability=float(chosen.own_probability[place]),
            decision=DECISIONS[decision] if decision else classification_service_pb2.DECISION_UNSPECIFIED,
        )
        if (size := size + message.ByteSize()) >= _MAX_LEFT_OUT_BYTES:
            return


def _add_rates(response: pb.GetCollectionReportResponse, evaluation: HeadEvaluation, policy: Policy) -> None:
    typicality = evaluation.typicality
    min_fit = typicality.min_fit(policy.false_reject, policy.false_accept)
    if min_fit is None:
        return
    others = typicality.negatives if len(typicality.negatives) else typicality.label_left_out
    # By the others alone, the example at the threshold would be rejected, too.
    response.false_reject.CopyFrom(proportion(int((typicality.fits <= min_fit).sum()), typicality.count))
    response.false_accept.CopyFrom(proportion(int((others >= min_fit).sum()), len(others)))
    response.measured_on_negatives = bool(len(typicality.negatives))


def _labels(view: CollectionView, fitted: Fitted | None, chosen: HeadEvaluation | None) -> Sequence[pb.LabelFigures]:
    """Returns figures of each label, those that need more examples and the least accurate first."""
    if not view.classifier.lda.dense:  # with more than 10,000 labels, each has too few examples to measure
        return []
    measured: dict[str, tuple[int, int]] = {}
    if fitted and chosen:
        correct, total = np.zeros(len(fitted.labels), int), np.bincount(fitted.rows, minlength=len(fitted.labels))
        np.add.at(correct, fitted.rows, chosen.predicted == fitted.rows)
        measured = {label: (int(a), int(b)) for label, a, b in zip(fitted.labels, correct, total, strict=True)}
    ids = [label.id for label in view.labels.values() if can_answer(label)]
    median = float(np.median([view.examples.count(label) for label in ids])) if ids else 0.0
    overall = chosen.accuracy if chosen and chosen.count else 1.0
    figures = [_label_figures(view, label, measured.get(label, (0, 0)), median, overall) for label in ids]
    figures.sort(key=lambda each: (not each.needs_more, each.accuracy.value if each.HasField("accuracy") else -1.0))
    return figures[:_MAX_LABELS]


def _label_figures(
    view: CollectionView, label: str, measured: tuple[int, int], median: float, overall: float
) -> pb.LabelFigures:
    """Returns a label's figures: `measured` are its correct and all answers, `median` its collection's count."""
    count, (correct, total) = view.examples.count(label), measured
    accuracy = proportion(correct, total) if total else None
    few = count < max(2.0, median / 2)
    needs_more = few or bool(accuracy and accuracy.high < overall)
    return pb.LabelFigures(label_id=label, example_count=count, accuracy=accuracy, needs_more=needs_more)
