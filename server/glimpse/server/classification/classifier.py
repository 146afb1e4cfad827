"""Classifies inputs by one or several collections."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Protocol

from glimpse.fewshot import DecisionSettings, HeadKind, Prediction, predict
from glimpse.server.classification.label_names import prompt_names
from glimpse.server.classification.messages import classification_fields, decision_settings, evidence_fields
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.drift import QueryStats
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.batch_results import (
    Outcome,
    add_results,
    add_views,
    good_kinds,
    set_timings,
    things_of_views,
    unknown_tokens,
    vectors_with_views,
)
from glimpse.server.inference.embedder import Embedded
from glimpse.server.inference.embedding_spaces import Source, source_of_collection
from glimpse.server.inference.views import embed_things
from glimpse.server.resource_names import collection_name, example_name, normal
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.server.validation import (
    MAX_ENTRIES,
    MAX_NAME,
    check_answer_bytes,
    check_entries,
    check_length,
    check_range,
)
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import types_pb2

_MAX_EVIDENCE = 100
# Collections with the same key share one pass through a backbone.
_PassKey = tuple[str, str, float | None]


@dataclass(frozen=True, slots=True)
class Options:
    """ClassifyOptions with the defaults filled in."""

    top_k: int
    evidence: int
    min_revision: int
    domain: str
    keep: bool = True

    @classmethod
    def read(cls, options: pb.ClassifyOptions, max_labels: int, field: str) -> "Options":
        """Checks the options of a request.

        Args:
            options: The request's options.
            max_labels: The highest `top_k` allowed.
            field: The options' field in the request, for errors.

        Raises:
            RequestError: An option is out of range.
        """
        top_k = options.top_k if options.HasField("top_k") else 5
        evidence = options.evidence if options.HasField("evidence") else 3
        # Normalise at most a valid length; a longer text is refused below.
        domain = normal(options.domain[: MAX_NAME + 1]) if options.domain else ""
        keep = options.keep or not options.HasField("keep")
        checked = cls(top_k, evidence, options.min_revision, domain, keep)
        check_range(top_k, 1, max_labels, f"{field}.top_k")
        check_range(evidence, 0, _MAX_EVIDENCE, f"{field}.evidence")
        check_length(options.domain, f"{field}.domain")
        return checked

    def check_size(self, views: Sequence[CollectionView], inputs: int, field: str, most: int = MAX_ENTRIES) -> None:
        """Checks, before anything is embedded, that the response has at most `most` labels and examples.

        Args:
            views: The collections.
            inputs: The number of inputs.
            field: The request's field, for the error.
            most: The limit.

        Raises:
            RequestError: The response would be larger.
        """
        each = sum(min(self.top_k, len(view.labels)) + min(self.evidence, view.examples.max_count) for view in views)
        check_entries(inputs, each, field, most)


class QueryRecorder(Protocol):
    """Keeps queries for review."""

    def add(
        self,
        view: CollectionView,
        inputs: Sequence[types_pb2.Input],
        embedded: Sequence[Outcome],
        predictions: Sequence[Prediction],
        domain: str,
    ) -> None:
        """Notes answered queries of a collection that keeps some. It neither waits nor raises.

        Args:
            view: The collection.
            inputs: The inputs that were embedded.
            embedded: Their outcomes.
            predictions: Their predictions.
            domain: Their domain.
        """


class Classifier:
    """Classifies inputs: embeds them, finds their neighbours, and decides."""

    def __init__(
        self,
        backbones: Backbones,
        neighbors: NeighborSearch,
        stats: QueryStats,
        recorder: QueryRecorder,
        max_inputs: int,
    ) -> None:
        """Counts every decision in `stats`, and passes the queries of collections that keep some to `recorder`.

        A call has at most `max_inputs` inputs, each view of a thing counted as one.
        """
        self._backbones, self._neighbors, self._stats = backbones, neighbors, stats
        self._recorder, self._max_inputs = recorder, max_inputs

    async def classify(
        self,
        views: Sequence[CollectionView],
        inputs: Sequence[types_pb2.Input],
        fields: Sequence[str] | None,
        options: Options,
        deadline: float,
    ) -> pb.ClassifyResponse:
        """Classifies inputs by every collection. Each backbone embeds each input once.

        Args:
            views: The collections.
            inputs: The inputs.
            fields: The field of each input in the request, for errors; None: `inputs[0]`, `inputs[1]`, and so on.
            options: The request's options.
            deadline: In time.monotonic() seconds.

        Returns:
            A response with one result for each input, in order; an input that fails has a status and does not fail the
            others.

        Raises:
            RequestError: The whole call fails.
        """
        started = time.monotonic()
        for view in views:
            self._neighbors.check_searchable(view, len(inputs), deadline)
        kinds_given = {item.WhichOneof("content") for item in inputs}
        has_vectors, has_views = not kinds_given.isdisjoint(("vector", "views")), "views" in kinds_given
        sources = [source_of_collection(view.record, self._backbones) for view in views]
        keys = [_pass_key(source, has_vectors) for source in sources]
        by_pass = await _embed(dict(zip(keys, sources, strict=True)), inputs, fields, deadline, self._max_inputs)
        passes = list(by_pass.values())
        outcomes = passes[0] if len(passes) == 1 else [_combine(each) for each in zip(*passes, strict=True)]
        response, size = pb.ClassifyResponse(), 0
        results = add_results(response.results.add, inputs, outcomes)
        good = [i for i, outcome in enumerate(outcomes) if not isinstance(outcome, RequestError)]
        decided_from, things = time.monotonic(), things_of_views(outcomes) if has_views else None
        for view, source, key in zip(views, sources, keys, strict=True):
            embedded = by_pass[key]
            queries = vectors_with_views([embedded[i] for i in good], view.record.dimension)
            await prompt_names(source, view, deadline)
            neighborhood = await self._neighbors.find_neighborhood(view, queries, options.evidence)
            settings = decision_settings(view, source)
            if view.classifier.head().kind is HeadKind.PROMPTS:
                kinds = good_kinds(inputs, outcomes)
                settings = await _prompt_settings(view, source, kinds, [embedded[i] for i in good])
            # No await until the next collection, so that the revision and the classifier belong together.
            revision = view.record.revision
            nearest, candidates = neighborhood.nearest, neighborhood.candidates
            predictions = predict(
                view.classifier, queries, nearest, settings, options.top_k, candidates, options.domain, things
            )
            # The views' own answers follow those of the inputs.
            own = predictions.predictions[: len(good)]
            self._stats.add(view, map(attrgetter("decision"), own), nearest.examples[: len(good)])
            if view.keeps_queries and options.keep:
                good_inputs, good_outcomes = [inputs[i] for i in good], [embedded[i] for i in good]
                self._recorder.add(view, good_inputs, good_outcomes, own, options.domain)
            collection, prefix = collection_name(view.record.id), example_name(view.record.id, "")
            messages = []
            # The inputs come first; the rest are their views.
            rows = classification_fields(predictions)
            answers = zip(results, rows, neighborhood.neighbors, strict=things is None)
            for result, values, neighbors in answers:
                evidence = evidence_fields(prefix, neighbors)
                message = result.classifications.add(
                    collection=collection, revision=revision, evidence=evidence, **values
                )
                messages.append(message)
                check_answer_bytes(size := size + message.ByteSize(), "options.top_k")
            if things is not None:
                add_views(messages, predictions.predictions, things)
        record_stage("head", decided_from)
        set_timings(results, outcomes, started, time.monotonic() - decided_from)
        return response


async def _prompt_settings(
    view: CollectionView, source: Source, kinds: Sequence[str], embedded: Sequence[Outcome]
) -> DecisionSettings:
    """Returns the settings of a collection whose prompts answer: a background competes with its labels.

    Args:
        view: The collection.
        source: Its backbone.
        kinds: The kinds of the inputs.
        embedded: Their outcomes.

    Raises:
        RequestError: No label has an example, and the backbone's prompts give no probabilities.
    """
    background = None
    if not isinstance(source.backbone, RequestError):
        if source.backbone.lacks_scale and view.classifier.prompts_alone() is not None:
            source.backbone.check_prompts_alone()
        background = await source.backbone.background.of_collection(view.classifier, kinds)
    settings = decision_settings(view, source)
    return replace(settings, background=background, unknown_tokens=unknown_tokens(embedded))


def _pass_key(source: Source, has_vectors: bool) -> _PassKey:
    """Returns a key that is equal for collections with the same backbone and the same rule for foreign vectors."""
    backbone = source.backbone
    name = "" if isinstance(backbone, RequestError) else backbone.manifest.name
    return source.embedding_space, name, source.min_cosine if has_vectors else None


async def _embed(
    sources: dict[_PassKey, Source],
    inputs: Sequence[types_pb2.Input],
    fields: Sequence[str] | None,
    deadline: float,
    max_inputs: int,
) -> dict[_PassKey, list[Outcome]]:
    """Embeds the inputs in all passes concurrently. Raises RequestError."""
    passes = [embed_things(source, inputs, fields, deadline, max_inputs) for source in sources.values()]
    if len(passes) == 1:
        return dict(zip(sources, [await passes[0]], strict=True))
    # Wait for all passes, so that none is left running if one fails.
    results = await asyncio.gather(*passes, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return dict(zip(sources, results, strict=True))  # type: ignore[arg-type]


def _combine(outcomes: Sequence[Outcome]) -> Outcome:
    """Combines one input's outcomes in several passes: the first failure, or the slowest success."""
    slowest = outcomes[0]
    for outcome in outcomes:
        if isinstance(outcome, RequestError) or isinstance(slowest, RequestError):
            return outcome if isinstance(outcome, RequestError) else slowest
        if outcome.timings.encode_ms > slowest.timings.encode_ms:
            slowest = outcome
    truncated = any(isinstance(outcome, Embedded) and outcome.truncated for outcome in outcomes)
    return replace(slowest, truncated=truncated) if isinstance(slowest, Embedded) else slowest
