"""The contract's messages as the client's types."""

from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypedDict, TypeVar

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from glimpse.client import _answers as answers
from glimpse.client import _resources as resources
from glimpse.client._errors import Code
from glimpse.client._status import ItemError, code_of
from glimpse.v1 import classification_service_pb2 as classification
from glimpse.v1 import collection_service_pb2 as collection
from glimpse.v1 import embedding_service_pb2 as embedding
from glimpse.v1 import types_pb2

E = TypeVar("E", bound=Enum)


class _Item(TypedDict):
    id: str
    error: ItemError | None
    truncated: bool
    timings: answers.Timings


def backbone(message: embedding.Backbone) -> resources.Backbone:
    """A Backbone message."""
    return resources.Backbone(
        name=message.name,
        description=message.description,
        modalities=tuple(_enum(resources.Modality, value) for value in message.modalities),
        dimension=message.dimension,
        embedding_space=message.embedding_space,
        image_size=message.image_size,
        context_length=message.context_length,
        logit_scale=message.logit_scale,
        logit_bias=message.logit_bias if message.HasField("logit_bias") else None,
        prompt_templates=tuple(message.prompt_templates),
        license=message.license,
        providers=tuple(message.providers),
        default_match_threshold=message.default_match_threshold,
        default_match_margin=message.default_match_margin,
        parent_embedding_space=message.parent_embedding_space,
        parent_min_cosine=message.parent_min_cosine,
    )


def collection_of(message: collection.Collection) -> resources.Collection:
    """A Collection message."""
    policy = message.policy
    return resources.Collection(
        name=message.name,
        display_name=message.display_name,
        backbone=message.backbone,
        embedding_space=message.embedding_space,
        match_threshold=policy.match_threshold if policy.HasField("match_threshold") else None,
        match_margin=policy.match_margin if policy.HasField("match_margin") else None,
        min_space_cosine=policy.min_space_cosine if policy.HasField("min_space_cosine") else None,
        names_as_prompts=message.names_as_prompts,
        label_count=message.label_count,
        example_count=message.example_count,
        revision=message.revision,
        create_time=_time(message.create_time),
        update_time=_time(message.update_time),
    )


def label(message: collection.Label, revision: int = 0) -> resources.Label:
    """A Label message."""
    return resources.Label(
        name=message.name,
        display_name=message.display_name,
        prompts=tuple(message.prompts),
        example_count=message.example_count,
        create_time=_time(message.create_time),
        update_time=_time(message.update_time),
        revision=revision,
    )


def example(message: collection.Example) -> resources.Example:
    """An Example message."""
    return resources.Example(
        name=message.name,
        label=message.label_id,
        content_digest=message.content_digest,
        modality=_enum(resources.Modality, message.modality),
        domain=message.domain,
        metadata=dict(message.metadata),
        create_time=_time(message.create_time),
        vector=vector(message.vector) if message.HasField("vector") else None,
    )


def vector(message: types_pb2.Vector) -> resources.Vector:
    """A Vector message; its array is read-only and shares the message's memory."""
    return resources.Vector(np.frombuffer(message.data, dtype="<f4"), message.embedding_space)


def embed_result(message: embedding.EmbedResult, _: Any = None) -> answers.EmbedResult:
    """An EmbedResult message."""
    found = vector(message.vector) if message.HasField("vector") else None
    return answers.EmbedResult(**_item(message), vector=found)


def enroll_result(message: collection.EnrollResult, _: Any = None) -> answers.EnrollResult:
    """An EnrollResult message."""
    return answers.EnrollResult(
        **_item(message),
        example=example(message.example) if message.HasField("example") else None,
        duplicate=message.duplicate,
        conflicts=tuple(answers.Conflict(one.example, one.label_id, one.similarity) for one in message.conflicts),
    )


def classify_result(message: classification.ClassifyResult, _: Any = None) -> answers.ClassifyResult:
    """A ClassifyResult message."""
    found = tuple(_classification(one) for one in message.classifications)
    return answers.ClassifyResult(**_item(message), classifications=found)


def zero_shot_result(message: classification.ZeroShotResult, _: Any = None) -> answers.ClassifyResult:
    """A ZeroShotResult message."""
    found = (_classification(message.classification),) if message.HasField("classification") else ()
    return answers.ClassifyResult(**_item(message), classifications=found)


def search_result(
    message: classification.SearchResult, response: classification.SearchResponse
) -> answers.SearchResult:
    """A SearchResult message and the response it came in."""
    return answers.SearchResult(
        **_item(message),
        neighbors=tuple(_evidence(one) for one in message.neighbors),
        revision=response.revision,
    )


def _classification(message: classification.Classification) -> answers.Classification:
    return answers.Classification(
        collection=message.collection,
        decision=_enum(answers.Decision, message.decision),
        label=message.label_id,
        probability=message.probability,
        margin=message.margin if message.HasField("margin") else None,
        labels=tuple(answers.LabelScore(one.label_id, one.score, one.probability) for one in message.labels),
        evidence=tuple(_evidence(one) for one in message.evidence),
        head=_enum(answers.Head, message.head),
        head_reason=message.head_reason,
        calibrated=message.calibrated,
        revision=message.revision,
    )


def _evidence(message: classification.Evidence) -> answers.Evidence:
    return answers.Evidence(message.example, message.label_id, message.similarity)


def _item(message: Any) -> _Item:
    """The fields that every item's result has."""
    status, spent = message.status, message.timings
    error = None
    if status.code != Code.OK.value[0]:
        delay = status.retry_delay_ms / 1000 if status.retry_delay_ms else None
        error = ItemError(code_of(status.code), status.reason, status.field, status.message, delay)
    timings = answers.Timings(
        decode_ms=spent.decode_ms,
        queue_ms=spent.queue_ms,
        encode_ms=spent.encode_ms,
        head_ms=spent.head_ms,
        commit_ms=spent.commit_ms,
        total_ms=spent.total_ms,
        batch_size=spent.batch_size,
    )
    return {"id": message.id, "error": error, "truncated": message.truncated, "timings": timings}


def _enum(kind: type[E], value: int) -> E:
    """An enum's member; a value of a newer server than this client is UNSPECIFIED (0)."""
    try:
        return kind(value)
    except ValueError:
        return kind(0)


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)
