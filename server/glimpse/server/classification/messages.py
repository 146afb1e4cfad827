"""Converts the classifier's predictions and the neighbours to messages of the contract."""

from collections.abc import Iterator, Sequence
from typing import Any

from glimpse.fewshot import DecisionSettings, Policy, Predictions, Subtree
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.server.classification.neighbors import Neighbor
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.embedding_spaces import Source
from glimpse.server.proto_enums import DECISIONS, HEADS

# The most labels of a subtree's prediction set in an answer.
_MAX_SUBTREE_LABELS = 32


def decision_settings(view: CollectionView, source: Source) -> DecisionSettings:
    """Returns the policies of a collection and its labels, completed by the defaults of the backbone for its inputs."""
    record = view.record
    backbone = None if isinstance(source.backbone, RequestError) else source.backbone
    rates: dict[str, Any] = {"false_reject": record.false_reject_rate, "coverage": record.coverage}
    policy = Policy(
        record.match_threshold,
        record.match_margin,
        backbone.manifest.decision.match_threshold if backbone else None,
        false_accept=record.false_accept_rate,
        mistake_costs=view.mistake_costs() if record.mistake_costs else None,
        labels=view.label_policies or None,
        **{name: rate for name, rate in rates.items() if rate is not None},
    )
    return DecisionSettings(
        policy,
        backbone.prompt_scale if backbone else EXAMPLE_SCALE,
        view.independent,
        backbone.manifest.logit_bias if backbone else None,
        composed=view.composed.labels if view.composed.exist else None,
        tree=view.tree,
    )


def classification_fields(predictions: Predictions) -> Iterator[dict[str, Any]]:
    """Yields the fields of one Classification for each query.

    Fields are added to a result at once. A message that is put into another one is copied, which takes as long as to
    build it.
    """
    head, calibrated = HEADS[predictions.kind], predictions.calibrated
    for prediction in predictions.predictions:
        labels, probabilities = prediction.labels, prediction.probabilities
        yield {
            "decision": DECISIONS[prediction.decision],
            "decision_reason": prediction.reason,
            "label_id": labels[0] if labels else "",
            "probability": probabilities[0] if labels else 0.0,
            "labels": [
                {"label_id": label, "score": score, "probability": probability}
                for label, score, probability in zip(labels, prediction.scores, probabilities, strict=True)
            ],
            "head": head,
            "head_reason": predictions.reason,
            "calibrated": calibrated,
            "p_value": prediction.p_value,
            "set_size": prediction.set_size,
            "similarity": prediction.similarity,
            "margin": prediction.margin,
            "background_probability": prediction.background,
            "subtree": _subtree_fields(prediction.subtree) if prediction.subtree else None,
            "expected_cost": prediction.expected_cost,
        }


def _subtree_fields(subtree: Subtree) -> dict[str, Any]:
    """Returns the fields of a Subtree."""
    return {
        "label_id": subtree.path[-1] if subtree.path else "",
        "path": "/".join(subtree.path),
        "probability": subtree.probability,
        "label_ids": subtree.labels[:_MAX_SUBTREE_LABELS],
        "label_count": len(subtree.labels),
    }


def evidence_fields(prefix: str, neighbors: Sequence[Neighbor]) -> list[dict[str, Any]]:
    """Returns the fields of one Evidence for each neighbour; the names of the examples start with `prefix`."""
    return [
        {"example": prefix + neighbor.example_id, "label_id": neighbor.label_id, "similarity": neighbor.similarity}
        for neighbor in neighbors
    ]
