"""Answers as the contract says them."""

from collections.abc import Iterator, Sequence

from glimpse.fewshot import Decision, DecisionSettings, Policy, Predictions
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.ledger import CollectionRecord
from glimpse.server.classification.neighbors import Neighbor
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.embedding_spaces import Source
from glimpse.server.proto_enums import HEADS
from glimpse.server.resource_names import collection_name, example_name
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import types_pb2

_DECISIONS = {
    Decision.MATCH: pb.DECISION_MATCH,
    Decision.UNKNOWN: pb.DECISION_UNKNOWN,
    Decision.AMBIGUOUS: pb.DECISION_AMBIGUOUS,
}


def terms_of(record: CollectionRecord, source: Source) -> DecisionSettings:
    """The collection's own policy, and the defaults of the backbone that its vectors come from."""
    backbone = source.backbone
    loaded = None if isinstance(backbone, RequestError) else backbone
    rates = {"false_reject": record.false_reject_rate, "coverage": record.coverage}
    policy = Policy(
        record.match_threshold,
        record.match_margin,
        loaded.manifest.decision.match_threshold if loaded else 0.5,
        loaded.manifest.decision.match_margin if loaded else 0.0,
        false_accept=record.false_accept_rate,
        **{name: rate for name, rate in rates.items() if rate is not None},
    )
    independent = record.label_mode == types_pb2.LABEL_MODE_INDEPENDENT
    if loaded is None:
        return DecisionSettings(policy, EXAMPLE_SCALE, independent)
    return DecisionSettings(policy, loaded.prompt_scale, independent, loaded.manifest.logit_bias)


def classifications(answers: Predictions) -> Iterator[pb.Classification]:
    """One a query; made one by one, so that a caller can stop at a size."""
    head, calibrated = HEADS[answers.kind], answers.calibrated
    for answer in answers.predictions:
        message = pb.Classification(
            decision=_DECISIONS[answer.decision],
            decision_reason=answer.reason,
            head=head,
            head_reason=answers.reason,
            calibrated=calibrated,
            p_value=answer.p_value,
            set_size=answer.set_size,
            similarity=answer.similarity,
            margin=answer.margin,
        )
        if answer.labels:
            message.label_id, message.probability = answer.labels[0], answer.probabilities[0]
        for label, score, probability in zip(answer.labels, answer.scores, answer.probabilities, strict=True):
            message.labels.add(label_id=label, score=score, probability=probability)
        yield message


def evidence(collection_id: str, neighbors: Sequence[Neighbor]) -> list[pb.Evidence]:
    """Neighbours as the contract says them."""
    return [
        pb.Evidence(
            example=example_name(collection_id, near.example_id), label_id=near.label_id, similarity=near.similarity
        )
        for near in neighbors
    ]


def add_provenance(answer: pb.Classification, view: CollectionView, revision: int, near: Sequence[Neighbor]) -> None:
    """Says which collection answered, as of which revision, because of which examples."""
    answer.collection = collection_name(view.record.id)
    answer.revision = revision
    answer.evidence.extend(evidence(view.record.id, near))
