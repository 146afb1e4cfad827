"""The contract's resources, and a collection's check, as the client's types."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from glimpse.client.requests._enums import CompactionState, Head, LabelMode, LabelRole, Modality, member
from glimpse.client.results import _collection_report as checks
from glimpse.client.results import _resources as resources
from glimpse.client.results._compaction import Compaction
from glimpse.client.transport._status import ItemError, code_of
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import embedding_service_pb2 as embedding
from glimpse.v1 import types_pb2


def backbone(message: embedding.Backbone) -> resources.Backbone:
    """A Backbone message."""
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
    )


def collection_of(message: pb.Collection) -> resources.Collection:
    """A Collection message."""
    policy = message.policy
    return resources.Collection(
        name=message.name,
        display_name=message.display_name,
        backbone=message.backbone,
        embedding_space=message.embedding_space,
        match_threshold=optional(policy, "match_threshold"),
        match_margin=optional(policy, "match_margin"),
        min_space_cosine=optional(message.embedding_space_policy, "min_space_cosine"),
        false_reject_rate=optional(policy, "false_reject_rate"),
        false_accept_rate=optional(policy, "false_accept_rate"),
        coverage=optional(policy, "coverage"),
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
    )


def _attached(message: pb.AttachedIndex) -> resources.AttachedIndex:
    return resources.AttachedIndex(
        message.name, message.factory, message.vector_count, message.deleted_count, message.unlabeled_count
    )


def compaction(message: pb.Compaction) -> Compaction:
    """Converts a Compaction message."""
    failure = message.failure
    error = None
    if message.HasField("failure"):
        delay = failure.retry_delay_ms / 1000 if failure.retry_delay_ms else None
        error = ItemError(code_of(failure.code), failure.reason, failure.field, failure.message, delay)
    return Compaction(
        collection=message.collection,
        state=member(CompactionState, message.state),
        revision=message.revision,
        error=error,
        start_time=time_of(message.start_time),
        end_time=time_of(message.end_time) if message.HasField("end_time") else None,
    )


def label(message: pb.Label, revision: int = 0) -> resources.Label:
    """A Label message."""
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
    """An Example message."""
    return resources.Example(
        name=message.name,
        label=message.label_id,
        content_digest=message.content_digest,
        modality=member(Modality, message.modality),
        domain=message.domain,
        metadata=dict(message.metadata),
        create_time=time_of(message.create_time),
        vector=vector(message.vector) if message.HasField("vector") else None,
    )


def vector(message: types_pb2.Vector) -> resources.Vector:
    """A Vector message; its array is read-only and shares the message's memory."""
    return resources.Vector(np.frombuffer(message.data, dtype="<f4"), message.embedding_space)


def collection_report(message: pb.GetCollectionReportResponse) -> checks.CollectionReport:
    """A GetCollectionReportResponse message."""
    return checks.CollectionReport(
        revision=message.revision,
        head=member(Head, message.head),
        head_reason=message.head_reason,
        calibrated=message.calibrated,
        accuracy=_proportion(message, "accuracy"),
        heads=tuple(checks.HeadAccuracy(member(Head, one.head), _measured(one.accuracy)) for one in message.heads),
        zero_shot_accuracy=_proportion(message, "zero_shot_accuracy"),
        negative_transfer=message.negative_transfer,
        false_reject=_proportion(message, "false_reject"),
        false_accept=_proportion(message, "false_accept"),
        measured_on_negatives=message.measured_on_negatives,
        confusions=tuple(
            checks.Confusion(one.label_id, one.answered_label_id, one.count) for one in message.confusions
        ),
        suspects=tuple(
            checks.SuspectExample(one.example, one.label_id, one.answered_label_id, one.probability)
            for one in message.suspects
        ),
        labels=tuple(
            checks.LabelFigures(one.label_id, one.example_count, _proportion(one, "accuracy"), one.needs_more)
            for one in message.labels
        ),
        adaptations=tuple(
            checks.AdaptationFigures(one.method, _measured(one.accuracy), one.kept) for one in message.adaptations
        ),
        advice=tuple(message.advice),
    )


def optional(message: Any, field: str) -> float | None:
    """A number that may be unset."""
    return getattr(message, field) if message.HasField(field) else None


def _proportion(message: Any, field: str) -> checks.Estimate | None:
    return _measured(getattr(message, field)) if message.HasField(field) else None


def _measured(message: pb.Proportion) -> checks.Estimate:
    return checks.Estimate(message.value, message.low, message.high, message.count)


def time_of(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
