"""The report of a collection, from its last fit."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from glimpse.fewshot import Decision, FewShotClassifier, Fitted, HeadKind, LabelTree, Policy, decide_left_out
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import is_better_prediction
from glimpse.fewshot.rejection import is_calibrated
from glimpse.fewshot.tree_figures import tree_figures
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
    view: CollectionView,
    policy: Policy,
    *,
    include_left_out: bool = False,
    comparison: pb.BackboneComparison | None = None,
) -> pb.GetCollectionReportResponse:
    """Builds the report of a collection from its last fit; call it in the event loop's thread.

    Args:
        view: The collection.
        policy: The policy in force.
        include_left_out: Whether to add the examples that were left out.
        comparison: The comparison with other loaded backbones, which advice follows from, if it was made.
    """
    head = view.classifier.head()
    evaluation = view.classifier.evaluation(head.kind) if view.classifier.lda.dense else None
    response = pb.GetCollectionReportResponse(
        revision=view.record.revision if view.classifier.is_current else view.fitted_revision,
        head=HEADS[head.kind],
        head_reason=head.reason,
        calibrated=is_calibrated(evaluation),
        backbone_comparison=comparison,
    )
    fitted, chosen = view.classifier.fitted, view.classifier.chosen_evaluation
    if view.adapted:  # it has seen the examples, so leaving them out says nothing
        add_cross_fitted(response, view.adapted.lineage)
        chosen = None
    if fitted:
        response.grouped_count = fitted.grouped
        _add_agreement(response, fitted)
    decisions: Sequence[Decision] = ()
    if fitted and chosen and chosen.count:
        decisions = () if view.independent else list(decide_left_out(view.classifier, policy))
        _add_accuracy(response, fitted, chosen)
        _add_examples(response, view, fitted, chosen)
        if view.tree and not view.independent:
            _add_tree(response, view.classifier, view.tree, policy)
        if include_left_out:
            _add_left_out(response, view, fitted, chosen, decisions)
    by_rates = evaluation is not None and policy.threshold is None and not view.independent
    if evaluation and by_rates:
        _add_rates(response, evaluation, policy)
    response.labels.extend(_labels(view, fitted, chosen, decisions))
    counts, attached = view.classifier.lda.moments.counts.astype(int).tolist(), view.examples.attached_index
    unlabeled = attached.unlabeled_count if attached else 0
    rate = policy.false_reject if policy.false_accept is None else 1.0
    response.advice.extend(
        advice(
            response,
            counts,
            by_rates=by_rates,
            false_reject=rate,
            unlabeled=unlabeled,
            missing=view.composed.missing_parts(view.classifier.can_score),
        )
    )
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


def _add_agreement(response: pb.GetCollectionReportResponse, fitted: Fitted) -> None:
    if found := fitted.agreement:
        response.agreement.MergeFrom(
            pb.AgreementFigures(
                method=found.name,
                without=found.without,
                adapted=found.adapted,
                unlabeled_count=found.count,
                kept=found.kept,
            )
        )


def _add_tree(
    response: pb.GetCollectionReportResponse, classifier: FewShotClassifier, tree: LabelTree, policy: Policy
) -> None:
    figures = tree_figures(classifier, tree, policy)
    if figures is None:
        return
    response.label_tree.CopyFrom(
        pb.LabelTreeFigures(
            held=proportion(figures.held, figures.count),
            single_label=proportion(figures.single, figures.count),
            mean_depth=figures.mean_depth,
            mean_label_depth=figures.mean_label_depth,
            level_accuracies=[proportion(right, count) for right, count in figures.levels],
        )
    )


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
    decisions: Sequence[Decision],
) -> None:
    """Adds every example that was left out, with its decision if labels are exclusive."""
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


@dataclass(frozen=True, slots=True)
class _LeftOutCounts:
    """The counts of a label's examples that were left out, classified right, and UNKNOWN (None: not decided)."""

    total: int = 0
    correct: int = 0
    unknown: int | None = None


def _labels(
    view: CollectionView, fitted: Fitted | None, chosen: HeadEvaluation | None, decisions: Sequence[Decision]
) -> Sequence[pb.LabelFigures]:
    """Returns figures of each label, those that need more examples and the least accurate first."""
    if not view.classifier.lda.dense:  # with more than 10,000 labels, each has too few examples to measure
        return []
    counts = _left_out_counts(fitted, chosen, decisions) if fitted and chosen else {}
    groups = view.tree.inner if view.tree else ()
    ids = [
        label.id
        for label in view.labels.values()
        # A label that only groups others needs no example.
        if can_answer(label) and (label.id not in groups or view.classifier.can_score(label.id))
    ]
    median = float(np.median([view.examples.count(label) for label in ids])) if ids else 0.0
    overall = chosen.accuracy if chosen and chosen.count else 1.0
    figures = [_label_figures(view, label, counts.get(label, _LeftOutCounts()), median, overall) for label in ids]
    figures.sort(key=lambda each: (not each.needs_more, each.accuracy.value if each.HasField("accuracy") else -1.0))
    return figures[:_MAX_LABELS]


def _left_out_counts(
    fitted: Fitted, chosen: HeadEvaluation, decisions: Sequence[Decision]
) -> dict[str, _LeftOutCounts]:
    """Counts the examples left out, by label."""
    labels = len(fitted.labels)
    total = np.bincount(fitted.rows, minlength=labels).tolist()
    correct = np.bincount(fitted.rows[chosen.predicted == fitted.rows], minlength=labels).tolist()
    unknown: Sequence[int | None] = [None] * labels
    if decisions:
        rejected = np.array([decision is Decision.UNKNOWN for decision in decisions])
        unknown = np.bincount(fitted.rows[rejected], minlength=labels).tolist()
    return {label: _LeftOutCounts(*each) for label, *each in zip(fitted.labels, total, correct, unknown, strict=True)}


def _label_figures(
    view: CollectionView, label: str, left_out: _LeftOutCounts, median: float, overall: float
) -> pb.LabelFigures:
    """Returns a label's figures; `median` is the count of examples and `overall` the accuracy of its collection."""
    count = view.examples.count(label)
    accuracy = proportion(left_out.correct, left_out.total) if left_out.total else None
    few = count < max(2.0, median / 2)
    decided = left_out.total and left_out.unknown is not None
    below = count < view.labels[label].min_examples
    return pb.LabelFigures(
        label_id=label,
        example_count=count,
        accuracy=accuracy,
        needs_more=few or below or bool(accuracy and accuracy.high < overall),
        false_reject=proportion(left_out.unknown or 0, left_out.total) if decided else None,
        below_min_examples=below,
    )
