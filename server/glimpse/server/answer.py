"""From vectors to answers: scores, probabilities, decision and evidence, as the contract says them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot import Decision, HeadKind, Policy, PrototypeHead, decide, log_partition
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
    scores, scale = head.scores(queries), judgement.scale  # (n, C)
    partitions = None if independent_bias is not None else log_partition(scores, scale).tolist()  # (n,)
    answers = []
    for row, order in enumerate(_best(scores, max(top_k, 2))):
        best = scores[row, order].tolist()
        if partitions is not None:
            probabilities = [math.exp(scale * score - partitions[row]) for score in best]
        else:  # the sigmoid, in a form that does not overflow
            probabilities = [0.5 + 0.5 * math.tanh((scale * score + independent_bias) / 2) for score in best]
        lead = best[0] - best[1] if len(best) > 1 else None
        names = [head.labels[column] for column in order.tolist()]
        answer = pb.Classification(
            decision=_DECISIONS[decide(best[0], lead, probabilities[0], judgement.policy)],
            label_id=names[0],
            probability=probabilities[0],
            margin=lead,
            head=kind,
            head_reason=reason,
        )
        for name, score, probability in zip(names[:top_k], best, probabilities, strict=False):
            answer.labels.add(label_id=name, score=score, probability=probability)
        answers.append(answer)
    return answers


def evidence(collection_id: str, neighbors: Sequence[Neighbor]) -> list[pb.Evidence]:
    """Neighbours as the contract says them."""
    return [
        pb.Evidence(
            example=example_name(collection_id, near.example_id), label_id=near.label_id, similarity=near.similarity
        )
        for near in neighbors
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
