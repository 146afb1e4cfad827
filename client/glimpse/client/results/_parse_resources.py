"""Reads resources and reports from messages."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from glimpse.client.requests._enums import CompactionState, Decision, Head, LabelMode, LabelRole, Modality, member
from glimpse.client.requests._policies import DecisionPolicy, EmbeddingSpacePolicy, ReviewPolicy
from glimpse.client.results import _collection_report as reports
from glimpse.client.results import _resources as resources
from glimpse.client.results._compaction import Compaction
from glimpse.client.transport._errors import Code
from glimpse.client.transport._status import ItemError, code_of
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import embedding_service_pb2 as embedding
from glimpse.v1 import types_pb2


def backbone(message: embedding.Backbone) -> resources.Backbone:
    """Reads a Backbone message."""
    return resources.Backbone(
        name=message.name,
        description=message.description,
        modalities=tuple(member(Modality, value) for value in message.modalities),
        dimension=message.dimension,
        embedding_space=message.embedding_space,
        image_size=message.image_size,
        context_length=message.context_length,
        logit_scale=message.logit_scale,
        logit_bias=optional(message, "logit_bias"),
        prompt_templates=tuple(message.prompt_templates),
        license=message.license,
        providers=tuple(message.providers),
        default_match_threshold=message.default_match_threshold,
        default_match_margin=message.default_match_margin,
        parent_embedding_space=message.parent_embedding_space,
        parent_min_cosine=message.parent_min_cosine,
        background_vocabulary_size=message.background_vocabulary_size,
    )


def collection(message: pb.Collection) -> resources.Collection:
    """Reads a Collection message."""
    return resources.Collection(
        name=message.name,
        display_name=message.display_name,
        backbone=message.backbone,
        embedding_space=message.embedding_space,
        policy=decision_policy(message.policy),
        embedding_space_policy=embedding_space_policy(message.embedding_space_policy),
        names_as_prompts=message.names_as_prompts,
        keep_inputs=message.keep_inputs,
        label_mode=member(LabelMode, message.label_mode),
        pinned_head=member(Head, message.pinned_head),
        label_count=message.label_count,
        example_count=message.example_count,
        revision=message.revision,
        create_time=time_of(message.create_time),
        update_time=time_of(message.update_time),
        index=_attached(message.index) if message.HasField("index") else None,
        review_policy=review_policy(message.review_policy) if message.HasField("review_policy") else None,
        content_readable=message.content_readable,
    )


def decision_policy(message: pb.DecisionPolicy) -> DecisionPolicy:
    """Reads a DecisionPolicy message."""
    return DecisionPolicy(**{field.name: optional(message, field.name) for field in fields(DecisionPolicy)})


def embedding_space_policy(message: pb.EmbeddingSpacePolicy) -> EmbeddingSpacePolicy:
    """Reads an EmbeddingSpacePolicy message."""
    return EmbeddingSpacePolicy(min_space_cosine=optional(message, "min_space_cosine"))


def review_policy(message: pb.ReviewPolicy) -> ReviewPolicy:
    """Reads a ReviewPolicy message."""
    return ReviewPolicy(**{field.name: getattr(message, field.name) for field in fields(ReviewPolicy)})


def _attached(message: pb.AttachedIndex) -> resources.AttachedIndex:
    return resources.AttachedIndex(
        name=message.name,
        factory=message.factory,
        vector_count=message.vector_count,
        deleted_count=message.deleted_count,
        unlabeled_count=message.unlabeled_count,
        searched=message.searched,
    )


def compaction(message: pb.Compaction) -> Compaction:
    """Reads a Compaction message."""
    return Compaction(
        collection=message.collection,
        state=member(CompactionState, message.state),
        revision=message.revision,
        error=item_error(message.failure),
        start_time=time_of(message.start_time),
        end_time=time_of(message.end_time) if message.HasField("end_time") else None,
    )


def label(message: pb.Label, revision: int = 0) -> resources.Label:
    """Reads a Label message."""
    return resources.Label(
        name=message.name,
        display_name=message.display_name,
        prompts=tuple(message.prompts),
        role=member(LabelRole, message.role),
        example_count=message.example_count,
        create_time=time_of(message.create_time),
        update_time=time_of(message.update_time),
        revision=revision,
    )


def example(message: pb.Example) -> resources.Example:
    """Reads an Example message."""
    return resources.Example(
        name=message.name,
        label=message.label_id,
        content_digest=message.content_digest,
        modality=member(Modality, message.modality),
        domain=message.domain,
        metadata=dict(message.metadata),
        create_time=time_of(message.create_time),
        vector=vector(message.vector) if message.HasField("vector") else None,
        group=message.group,
    )


def vector(message: types_pb2.Vector) -> resources.Vector:
    """Reads a Vector message. Its array is read-only and shares the memory of the message."""
    return resources.Vector(np.frombuffer(message.data, dtype="<f4"), message.embedding_space)


def collection_report(message: pb.GetCollectionReportResponse) -> reports.CollectionReport:
    """Reads a GetCollectionReportResponse message."""
    return reports.CollectionReport(
        revision=message.revision,
        head=member(Head, message.head),
        head_reason=message.head_reason,
        calibrated=message.calibrated,
        accuracy=_optional_estimate(message, "accuracy"),
        heads=tuple(reports.HeadAccuracy(member(Head, head.head), _estimate(head.accuracy)) for head in message.heads),
        zero_shot_accuracy=_optional_estimate(message, "zero_shot_accuracy"),
        negative_transfer=message.negative_transfer,
        false_reject=_optional_estimate(message, "false_reject"),
        false_accept=_optional_estimate(message, "false_accept"),
        measured_on_negatives=message.measured_on_negatives,
        confusions=tuple(
            reports.Confusion(pair.label_id, pair.answered_label_id, pair.count) for pair in message.confusions
        ),
        suspects=tuple(
            reports.SuspectExample(
                suspect.example,
                suspect.label_id,
                suspect.answered_label_id,
                suspect.probability,
                suspect.own_probability,
                suspect.confident,
            )
            for suspect in message.suspects
        ),
        labels=tuple(
            reports.LabelFigures(
                figures.label_id, figures.example_count, _optional_estimate(figures, "accuracy"), figures.needs_more
            )
            for figures in message.labels
        ),
        adaptations=tuple(
            reports.AdaptationFigures(figures.method, _estimate(figures.accuracy), figures.kept)
            for figures in message.adaptations
        ),
        advice=tuple(message.advice),
        grouped_count=message.grouped_count,
        left_out=tuple(
            reports.LeftOutExample(
                one.example,
                one.label_id,
                one.answered_label_id,
                one.probability,
                one.own_probability,
                member(Decision, one.decision),
            )
            for one in message.left_out
        ),
        cross_fitted=_cross_fitted(message.cross_fitted) if message.HasField("cross_fitted") else None,
    )


def _cross_fitted(message: pb.CrossFittedFigures) -> reports.CrossFittedFigures:
    return reports.CrossFittedFigures(
        message.parent_backbone,
        message.method,
        message.trained_on_count,
        _estimate(message.frozen_accuracy),
        _estimate(message.adapted_accuracy),
        message.gain_error,
        _optional_estimate(message, "frozen_zero_shot_accuracy"),
        _optional_estimate(message, "adapted_zero_shot_accuracy"),
        message.forced,
    )


def item_error(status: types_pb2.ItemStatus) -> ItemError | None:
    """Reads an ItemStatus message. Returns None for the status OK."""
    if status.code == Code.OK.value[0]:
        return None
    delay = status.retry_delay_ms / 1000 if status.retry_delay_ms else None
    return ItemError(code_of(status.code), status.reason, status.field, status.message, delay)


def optional(message: Any, field: str) -> float | None:
    """Returns a field, or None if it is not set."""
    return getattr(message, field) if message.HasField(field) else None


def _optional_estimate(message: Any, field: str) -> reports.Estimate | None:
    return _estimate(getattr(message, field)) if message.HasField(field) else None


def _estimate(message: pb.Proportion) -> reports.Estimate:
    return reports.Estimate(message.value, message.low, message.high, message.count)


def time_of(stamp: Timestamp) -> datetime:
    """Returns a timestamp in UTC."""
    return stamp.ToDatetime(tzinfo=UTC)
