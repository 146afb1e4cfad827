"""Converts the classifier's predictions and the neighbours to messages of the contract."""

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


def decision_settings(record: CollectionRecord, source: Source) -> DecisionSettings:
    """Returns the collection's policy, completed by the defaults of the backbone that embeds its inputs."""
    backbone = None if isinstance(source.backbone, RequestError) else source.backbone
    rates = {"false_reject": record.false_reject_rate, "coverage": record.coverage}
    policy = Policy(
        record.match_threshold,
        record.match_margin,
        backbone.manifest.decision.match_threshold if backbone else None,
        false_accept=record.false_accept_rate,
        **{name: rate for name, rate in rates.items() if rate is not None},
    )
    independent = record.label_mode == types_pb2.LABEL_MODE_INDEPENDENT
    if backbone is None:
        return DecisionSettings(policy, EXAMPLE_SCALE, independent)
    return DecisionSettings(policy, backbone.prompt_scale, independent, backbone.manifest.logit_bias)


def classifications(predictions: Predictions) -> Iterator[pb.Classification]:
    """Yields one message for each query; a caller can stop when the response gets too large."""
    head, calibrated = HEADS[predictions.kind], predictions.calibrated
    for prediction in predictions.predictions:
        message = pb.Classification(
            decision=_DECISIONS[prediction.decision],
            decision_reason=prediction.reason,
            head=head,
            head_reason=predictions.reason,
            calibrated=calibrated,
            p_value=prediction.p_value,
            set_size=prediction.set_size,
            similarity=prediction.similarity,
            margin=prediction.margin,
            background_probability=prediction.background,
        )
        if prediction.labels:
            message.label_id, message.probability = prediction.labels[0], prediction.probabilities[0]
        for label, score, probability in zip(
            prediction.labels, prediction.scores, prediction.probabilities, strict=True
        ):
            message.labels.add(label_id=label, score=score, probability=probability)
        yield message


def evidence(collection_id: str, neighbors: Sequence[Neighbor]) -> list[pb.Evidence]:
    """Converts the neighbours found in a collection."""
    return [
        pb.Evidence(
            example=example_name(collection_id, neighbor.example_id),
            label_id=neighbor.label_id,
            similarity=neighbor.similarity,
        )
        for neighbor in neighbors
    ]


def add_provenance(
    message: pb.Classification, view: CollectionView, revision: int, neighbors: Sequence[Neighbor]
) -> None:
    """Sets the collection, its revision and the evidence of a classification."""
    message.evidence.extend(evidence(view.record.id, neighbors))
    message.collection = collection_name(view.record.id)
    message.revision = revision
