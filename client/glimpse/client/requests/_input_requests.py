"""Builds batches and streams from arguments, one function for each method that takes inputs."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from glimpse.client.requests._batches import Batch, Part, restore, retry_delay
from glimpse.client.requests._enums import LabelMode
from glimpse.client.requests._inputs import Examples, Inputs, Prepared, prepare_example, prepare_input, prepared
from glimpse.client.requests._names import CollectionRef, Names, backbone_name, collection_name, collection_names, names
from glimpse.client.results import _parse_results as parse
from glimpse.client.results import _results as results
from glimpse.client.results._classification import ClassifyResult
from glimpse.client.results._enrollment import Enrollment
from glimpse.client.transport._errors import GlimpseError
from glimpse.client.transport._retry import Session, after
from glimpse.client.transport._steps import Pause, Steps
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import collection_service_pb2 as collection_pb
from glimpse.v1 import embedding_service_pb2 as embedding_pb

T = TypeVar("T")
Collections = CollectionRef | Sequence[CollectionRef]
Labels = Names | Mapping[str, Names]
"""Texts that are labels and prompts at once, or a mapping from label to prompts."""


@dataclass(frozen=True, slots=True)
class Stream(Generic[T]):
    """A bidirectional stream of inputs and results.

    Attributes:
        rpc: The method, as `service.Method`.
        config: The first message.
        wrap: Builds the message of an input.
        parse: Reads an input's result from the result message, None, and the path of the input's file.
        batch: A batch without inputs, which sends a single input again.
    """

    rpc: str
    config: Any
    wrap: Callable[[Any], Any]
    parse: Callable[[Any, Any, str], T]
    batch: Batch[T]

    def settle(self, item: Prepared, result: Any, position: int, session: Session) -> Steps[T]:
        """Returns the result of one input. If the server was too busy for it, sends it again in a call of its own."""
        delay = after(retry_delay(result, item))
        if delay and session.deadline.allows(delay):
            yield Pause(delay)
            try:
                return (yield from replace(self.batch, items=lambda _: [item]).steps(session))[0]
            except GlimpseError:
                pass  # The result of the stream remains.
        restore(result, item, position)
        return self.parse(result, None, item.path)


def embed(inputs: Inputs, backbone: str) -> Batch[results.EmbedResult]:
    """Builds the batch of Embed."""
    name = backbone_name(backbone)
    return Batch(
        "embedding.Embed",
        prepared(inputs, prepare_input),
        lambda messages, _: embedding_pb.EmbedRequest(backbone=name, inputs=messages),
        parse.embed_result,
    )


def stream_embed(backbone: str) -> Stream[results.EmbedResult]:
    """Builds the stream of StreamEmbed."""
    config = embedding_pb.StreamEmbedConfig(backbone=backbone_name(backbone))
    return Stream(
        "embedding.StreamEmbed",
        embedding_pb.StreamEmbedRequest(config=config),
        lambda message: embedding_pb.StreamEmbedRequest(input=message),
        parse.embed_result,
        embed([], backbone),
    )


def enroll(
    collection: CollectionRef,
    examples: Examples,
    create_labels: bool,
    request_id: str,
    measure_accuracy: bool,
) -> Batch[Enrollment]:
    """Builds the batch of EnrollExamples.

    Each chunk has its own request id, the same in every attempt to send it. Items that are sent again because the
    server was busy are another request. Accuracy is measured with the last chunk.
    """
    parent = collection_name(collection)
    base = request_id or str(uuid.uuid4())

    def request(messages: list[Any], part: Part) -> collection_pb.EnrollExamplesRequest:
        chunk_id = f"{base}/{part.chunk}" if part.chunk else base
        return collection_pb.EnrollExamplesRequest(
            parent=parent,
            examples=messages,
            request_id=str(uuid.uuid4()) if part.attempt else chunk_id,
            create_labels=create_labels,
            measure_accuracy=measure_accuracy and part.last,
        )

    return Batch("collections.EnrollExamples", prepared(examples, prepare_example), request, parse.enrollment)


def join_enrollments(parts: Sequence[Enrollment]) -> Enrollment:
    """Joins enrollments: the accuracy before the first of them, the revision and accuracy after the last."""
    by_revision = sorted(parts, key=lambda part: part.revision)
    measured = [part.accuracy_after for part in by_revision if part.accuracy_after is not None]
    return Enrollment(
        results=tuple(result for part in parts for result in part.results),
        revision=by_revision[-1].revision if parts else 0,
        accuracy_before=by_revision[0].accuracy_before if parts else None,
        accuracy_after=measured[-1] if measured else None,
    )


def classify(collections: Collections, inputs: Inputs, options: pb.ClassifyOptions) -> Batch[ClassifyResult]:
    """Builds the batch of Classify."""
    names = collection_names(collections)
    return Batch(
        "classification.Classify",
        prepared(inputs, prepare_input),
        lambda messages, _: pb.ClassifyRequest(collections=names, inputs=messages, options=options),
        parse.classify_result,
    )


def stream_classify(collections: Collections, options: pb.ClassifyOptions) -> Stream[ClassifyResult]:
    """Builds the stream of StreamClassify."""
    config = pb.StreamClassifyConfig(collections=collection_names(collections), options=options)
    return Stream(
        "classification.StreamClassify",
        pb.StreamClassifyRequest(config=config),
        lambda message: pb.StreamClassifyRequest(input=message),
        parse.classify_result,
        classify(collections, [], options),
    )


def classify_zero_shot(
    labels: Labels,
    inputs: Inputs,
    backbone: str,
    mode: LabelMode,
    use_templates: bool,
    top_k: int | None,
    background: Names | bool = True,
) -> Batch[ClassifyResult]:
    """Builds the batch of ClassifyZeroShot."""
    competing = (
        pb.ZeroShotBackground(vocabulary_disabled=not background)
        if isinstance(background, bool)
        else pb.ZeroShotBackground(texts=names(background))
    )
    if isinstance(labels, Mapping):
        prompted = [pb.PromptedLabel(label_id=label, prompts=names(texts)) for label, texts in labels.items()]
    else:
        prompted = [pb.PromptedLabel(prompts=[text]) for text in names(labels)]
    name = backbone_name(backbone)

    def request(messages: list[Any], _: Part) -> pb.ClassifyZeroShotRequest:
        return pb.ClassifyZeroShotRequest(
            backbone=name,
            labels=prompted,
            inputs=messages,
            mode=mode.value,  # type: ignore[arg-type]
            use_templates=use_templates,
            top_k=top_k,
            background=competing,
        )

    return Batch(
        "classification.ClassifyZeroShot",
        prepared(inputs, prepare_input),
        request,
        parse.zero_shot_result,
    )


def search_examples(
    collection: CollectionRef,
    inputs: Inputs,
    top_k: int | None,
    labels: Names,
    domains: Names,
    min_revision: int,
) -> Batch[results.SearchExamplesResult]:
    """Builds the batch of SearchExamples."""
    parent = collection_name(collection)
    return Batch(
        "classification.SearchExamples",
        prepared(inputs, prepare_input),
        lambda messages, _: pb.SearchExamplesRequest(
            collection=parent,
            inputs=messages,
            top_k=top_k,
            label_ids=names(labels),
            domains=names(domains),
            min_revision=min_revision,
        ),
        parse.search_result,
    )


def options(
    top_k: int | None, evidence: int | None, min_revision: int, domain: str, keep: bool = True
) -> pb.ClassifyOptions:
    """Builds ClassifyOptions. None leaves the server's default."""
    return pb.ClassifyOptions(
        top_k=top_k, evidence=evidence, min_revision=min_revision, domain=domain, keep=None if keep else False
    )
