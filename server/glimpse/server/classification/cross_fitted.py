"""The figures of an adapted backbone in the report of a collection that holds examples of its training."""

from glimpse.backbone.adaptation.lineage import Adaptation, MeasuredGain
from glimpse.server.classification.proportion import proportion
from glimpse.v1 import collection_service_pb2 as pb


def add_cross_fitted(response: pb.GetCollectionReportResponse, lineage: Adaptation) -> None:
    """Sets the accuracy and `cross_fitted` of a report from the figures that the bundle was written with."""
    frozen, adapted = _proportions(lineage.accuracy)
    response.accuracy.CopyFrom(adapted)
    figures = pb.CrossFittedFigures(
        parent_backbone=lineage.parent.name,
        method=lineage.method,
        trained_on_count=lineage.examples,
        frozen_accuracy=frozen,
        adapted_accuracy=adapted,
        gain_error=lineage.accuracy.error,
        forced=lineage.forced,
    )
    if lineage.zero_shot:
        frozen, adapted = _proportions(lineage.zero_shot)
        figures.frozen_zero_shot_accuracy.CopyFrom(frozen)
        figures.adapted_zero_shot_accuracy.CopyFrom(adapted)
    response.cross_fitted.CopyFrom(figures)


def _proportions(gain: MeasuredGain) -> tuple[pb.Proportion, pb.Proportion]:
    """Returns the accuracies of the frozen and of the adapted backbone."""
    return proportion(gain.frozen * gain.count, gain.count), proportion(gain.adapted * gain.count, gain.count)
