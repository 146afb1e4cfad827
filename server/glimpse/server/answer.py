"""From vectors to answers: scores, probabilities, decision and evidence, as the contract says them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot import Decision, HeadKind, Policy, PrototypeHead, decide, softmax
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.vectors import Array
from glimpse.server.names import collection_name, example_name
from glimpse.server.view import CollectionView, Neighbor
from glimpse.v1 import classification_service_pb2 as pb

_DECISIONS = {
    Decision.MATCH: pb.DECISION_MATCH,
    Decision.UNKNOWN: pb.DECISION_UNKNOWN,
    Decision.AMBIGUOUS: pb.DECISION_AMBIGUOUS,
}
_HEADS = {
    HeadKind.NONE: (pb.HEAD_UNSPECIFIED, "the collection has no example and no prompt"),
    HeadKind.CLASS_MEAN: (pb.HEAD_CLASS_MEAN, "every label has examples"),
    HeadKind.PROMPTS: (pb.HEAD_PROMPTS, "no label has an example; prompts answer"),
    HeadKind.CLASS_MEAN_AND_PROMPTS: (
        pb.HEAD_CLASS_MEAN_AND_PROMPTS,
        "prompts answer for the labels without an example",
    ),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """How scores become probabilities and a decision."""

    scale: float
    policy: Policy


def judgement_for(view: CollectionView, defaults: Policy, logit_scale: float) -> Judgement:
    """The collection's own policy; over the backbone's defaults where there are examples."""
    record = view.record
    if view.head.kind is HeadKind.PROMPTS:
        return Judgement(logit_scale, Policy(record.match_threshold, record.match_margin))
    policy = Policy(
        defaults.threshold if record.match_threshold is None else record.match_threshold,
        defaults.margin if record.match_margin is None else record.match_margin,
    )
    return Judgement(EXAMPLE_SCALE, policy)


def classify(
    head: PrototypeHead,
    queries: Array,
    judgement: Judgement,
    top_k: int,
    *,
    independent_bias: float | None = None,
) -> list[pb.Classification]:
    """The head's answer for each row of queries (n, d). With a bias, labels are judged one by one (sigmoid)."""
    kind, reason = _HEADS[head.kind]
    if not head.labels:
        return [pb.Classification(decision=pb.DECISION_UNKNOWN, head=kind, head_reason=reason) for _ in queries]
    scores = head.scores(queries)  # (n, C)
    if independent_bias is None:
        probabilities = softmax(scores, judgement.scale)  # (n, C)
    else:
        probabilities = 1 / (1 + np.exp(-(judgement.scale * scores.astype(np.float64) + independent_bias)))
    answers = []
    for row, order in enumerate(_best(scores, max(top_k, 2))):
        best = [
            pb.LabelScore(label_id=head.labels[column], score=score, probability=probability)
            for column, score, probability in zip(
                order.tolist(), scores[row, order].tolist(), probabilities[row, order].tolist(), strict=True
            )
        ]
        lead = best[0].score - best[1].score if len(best) > 1 else None
        answers.append(
            pb.Classification(
                decision=_DECISIONS[decide(best[0].score, lead, best[0].probability, judgement.policy)],
                label_id=best[0].label_id,
                probability=best[0].probability,
                margin=lead,
                labels=best[:top_k],
                head=kind,
                head_reason=reason,
            )
        )
    return answers


def evidence(collection_id: str, neighbors: Sequence[Neighbor]) -> list[pb.Evidence]:
    """Neighbours as the contract says them."""
    return [
        pb.Evidence(
            example=example_name(collection_id, neighbor.example_id),
            label_id=neighbor.label_id,
            similarity=neighbor.similarity,
        )
        for neighbor in neighbors
    ]


def complete(answer: pb.Classification, view: CollectionView, revision: int, near: Sequence[Neighbor]) -> None:
    """Says which collection answered, as of which revision, because of which examples."""
    answer.collection = collection_name(view.record.id)
    answer.revision = revision
    answer.evidence.extend(evidence(view.record.id, near))


def _best(scores: Array, k: int) -> npt.NDArray[np.intp]:
    """Columns of the k greatest scores a row, greatest first: (n, C) → (n, min(k, C))."""
    labels = scores.shape[1]
    if labels > 4 * k:
        candidates = np.argpartition(scores, labels - k, axis=1)[:, labels - k :]  # (n, k)
        order = np.argsort(-np.take_along_axis(scores, candidates, 1), axis=1, kind="stable")
        return np.take_along_axis(candidates, order, axis=1)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]
