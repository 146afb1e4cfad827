"""The contract's answers to inputs as the client's types."""

from typing import Any, TypedDict

from glimpse.client.requests._enums import Decision, Head, member
from glimpse.client.results import _results as answers
from glimpse.client.results._classification import Classification, ClassifyResult
from glimpse.client.results._enrollment import Enrollment, EnrollResult
from glimpse.client.results._parse_resources import example, optional, vector
from glimpse.client.transport._errors import Code
from glimpse.client.transport._status import ItemError, code_of
from glimpse.v1 import classification_service_pb2 as classification
from glimpse.v1 import collection_service_pb2 as collection
from glimpse.v1 import embedding_service_pb2 as embedding


class _Item(TypedDict):
    id: str
    error: ItemError | None
    truncated: bool
    timings: answers.Timings


def embed_result(message: embedding.EmbedResult, _: Any = None, path: str = "") -> answers.EmbedResult:
    """An EmbedResult message. `path`: of the input's file."""
    found = vector(message.vector) if message.HasField("vector") else None
    return answers.EmbedResult(**_item(message, path), vector=found)


def enrollment(message: collection.EnrollResult, response: collection.EnrollExamplesResponse, path: str) -> Enrollment:
    """An EnrollResult message and the response it came in: an enrolment of one."""
    result = EnrollResult(
        **_item(message, path),
        example=example(message.example) if message.HasField("example") else None,
        duplicate=message.duplicate,
        conflicts=tuple(_conflict(one) for one in message.conflicts),
        near_duplicates=tuple(_conflict(one) for one in message.near_duplicates),
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
    """A ClassifyResult message."""
    found = tuple(_classification(one) for one in message.classifications)
    return ClassifyResult(**_item(message, path), classifications=found)


def zero_shot_result(message: classification.ClassifyZeroShotResult, _: Any = None, path: str = "") -> ClassifyResult:
    """A ClassifyZeroShotResult message."""
    found = (_classification(message.classification),) if message.HasField("classification") else ()
    return ClassifyResult(**_item(message, path), classifications=found)


def search_result(
    message: classification.SearchExamplesResult, response: classification.SearchExamplesResponse, path: str
) -> answers.SearchResult:
    """A SearchResult message and the response it came in."""
    return answers.SearchResult(
        **_item(message, path),
        neighbors=tuple(_evidence(one) for one in message.neighbors),
        revision=response.revision,
    )


def _classification(message: classification.Classification) -> Classification:
    return Classification(
        collection=message.collection,
        decision=member(Decision, message.decision),
        label=message.label_id,
        probability=message.probability,
        margin=optional(message, "margin"),
        labels=tuple(answers.LabelScore(one.label_id, one.score, one.probability) for one in message.labels),
        evidence=tuple(_evidence(one) for one in message.evidence),
        head=member(Head, message.head),
        head_reason=message.head_reason,
        calibrated=message.calibrated,
        revision=message.revision,
        decision_reason=message.decision_reason,
        p_value=optional(message, "p_value"),
        set_size=message.set_size,
        similarity=message.similarity,
    )


def _evidence(message: classification.Evidence) -> answers.Evidence:
    return answers.Evidence(message.example, message.label_id, message.similarity)


def _conflict(message: collection.SimilarExample) -> answers.SimilarExample:
    return answers.SimilarExample(message.example, message.label_id, message.similarity)


def _item(message: Any, path: str) -> _Item:
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
    return {"id": message.id or path, "error": error, "truncated": message.truncated, "timings": timings}
