"""Reads the results of inputs from messages."""

from typing import Any, TypedDict

from glimpse.client.requests._enums import Decision, Head, member
from glimpse.client.results import _results as results
from glimpse.client.results._classification import Classification, ClassifyResult, ViewAnswer
from glimpse.client.results._enrollment import Enrollment, EnrollResult
from glimpse.client.results._parse_resources import example, item_error, optional, vector
from glimpse.client.transport._status import ItemError
from glimpse.v1 import classification_service_pb2 as classification
from glimpse.v1 import collection_service_pb2 as collection
from glimpse.v1 import embedding_service_pb2 as embedding


class _Item(TypedDict):
    id: str
    error: ItemError | None
    truncated: bool
    timings: results.Timings


def embed_result(message: embedding.EmbedResult, _: Any = None, path: str = "") -> results.EmbedResult:
    """Reads an EmbedResult message. `path` is the path of the input's file, or empty."""
    value = vector(message.vector) if message.HasField("vector") else None
    return results.EmbedResult(**_item(message, path), vector=value)


def enrollment(message: collection.EnrollResult, response: collection.EnrollExamplesResponse, path: str) -> Enrollment:
    """Reads an EnrollResult message and its response as an enrollment of one example."""
    result = EnrollResult(
        **_item(message, path),
        example=example(message.example) if message.HasField("example") else None,
        duplicate=message.duplicate,
        conflicts=tuple(_similar_example(similar) for similar in message.conflicts),
        near_duplicates=tuple(_similar_example(similar) for similar in message.near_duplicates),
        outlier=message.outlier,
        original_kept=message.original_kept,
    )
    return Enrollment(
        results=(result,),
        revision=response.revision,
        accuracy_before=optional(response, "accuracy_before"),
        accuracy_after=optional(response, "accuracy_after"),
    )


def classify_result(message: classification.ClassifyResult, _: Any = None, path: str = "") -> ClassifyResult:
    """Reads a ClassifyResult message."""
    classifications = tuple(_classification(answer) for answer in message.classifications)
    return ClassifyResult(**_item(message, path), classifications=classifications)


def zero_shot_result(message: classification.ClassifyZeroShotResult, _: Any = None, path: str = "") -> ClassifyResult:
    """Reads a ClassifyZeroShotResult message."""
    classifications = (_classification(message.classification),) if message.HasField("classification") else ()
    return ClassifyResult(**_item(message, path), classifications=classifications)


def search_result(
    message: classification.SearchExamplesResult, response: classification.SearchExamplesResponse, path: str
) -> results.SearchExamplesResult:
    """Reads a SearchExamplesResult message and its response."""
    return results.SearchExamplesResult(
        **_item(message, path),
        neighbors=tuple(_evidence(example) for example in message.neighbors),
        revision=response.revision,
    )


def _classification(message: classification.Classification) -> Classification:
    return Classification(
        collection=message.collection,
        decision=member(Decision, message.decision),
        label=message.label_id,
        probability=message.probability,
        margin=optional(message, "margin"),
        labels=tuple(results.LabelScore(label.label_id, label.score, label.probability) for label in message.labels),
        evidence=tuple(_evidence(example) for example in message.evidence),
        head=member(Head, message.head),
        head_reason=message.head_reason,
        calibrated=message.calibrated,
        revision=message.revision,
        decision_reason=message.decision_reason,
        p_value=optional(message, "p_value"),
        set_size=message.set_size,
        similarity=message.similarity,
        background_probability=optional(message, "background_probability"),
        subtree=_subtree(message.subtree) if message.HasField("subtree") else None,
        views=tuple(
            ViewAnswer(member(Decision, view.decision), view.label_id, view.probability, view.similarity)
            for view in message.views
        ),
        dissent=optional(message, "dissent"),
        expected_cost=optional(message, "expected_cost"),
    )


def _subtree(message: classification.Subtree) -> results.Subtree:
    return results.Subtree(
        message.label_id, message.path, message.probability, tuple(message.label_ids), message.label_count
    )


def _evidence(message: classification.Evidence) -> results.Evidence:
    return results.Evidence(message.example, message.label_id, message.similarity)


def _similar_example(message: collection.SimilarExample) -> results.SimilarExample:
    return results.SimilarExample(message.example, message.label_id, message.similarity)


def _item(message: Any, path: str) -> _Item:
    """Returns the fields that every result has."""
    times = message.timings
    timings = results.Timings(
        decode_ms=times.decode_ms,
        queue_ms=times.queue_ms,
        encode_ms=times.encode_ms,
        head_ms=times.head_ms,
        commit_ms=times.commit_ms,
        total_ms=times.total_ms,
        batch_size=times.batch_size,
    )
    return {
        "id": message.id or path,
        "error": item_error(message.status),
        "truncated": message.truncated,
        "timings": timings,
    }
