"""ClassificationService: classifies inputs, with a collection or without, and searches examples."""

import time
from collections.abc import AsyncIterator, Sequence

from glimpse.server import resource_names
from glimpse.server.api.handlers import Context, deadline_of, streaming, unary
from glimpse.server.api.streaming import StreamInput, answers, opened, retry_while_queue_full
from glimpse.server.classification.classifier import Options
from glimpse.server.classification.messages import evidence_fields
from glimpse.server.classification.neighbors import SearchFilter
from glimpse.server.classification.zero_shot import classify_zero_shot
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError, failed_precondition, item_status, not_found
from glimpse.server.inference.batch_results import add_results, good_vectors, set_timings
from glimpse.server.inference.embedder import input_fields
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.inference.views import embed_things
from glimpse.server.runtime import Runtime
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.server.validation import (
    MAX_STREAM_ENTRIES,
    check_answer_bytes,
    check_count,
    check_entries,
    check_enum,
    check_length,
    check_range,
    parse_collections,
)
from glimpse.v1 import classification_service_pb2 as pb
from glimpse.v1 import classification_service_pb2_grpc, types_pb2

_MAX_COLLECTIONS = 16
_MAX_PROMPTED_LABELS = 1_000
_MAX_NEIGHBORS = 1_000
_MAX_DOMAINS, _MAX_LABELS = 1_000, 10_000


class ClassificationService(classification_service_pb2_grpc.ClassificationServiceServicer):
    """Checks requests, and has the Classifier, the zero-shot classifier or NeighborSearch answer them."""

    def __init__(self, runtime: Runtime) -> None:
        """Answers with the parts of `runtime`."""
        self.runtime = runtime
        self.settings = runtime.settings

    @unary
    async def Classify(self, request: pb.ClassifyRequest, context: Context) -> pb.ClassifyResponse:
        """Classifies a list of inputs against one or several collections.

        Checks the counts, the options and the size of the response; waits for `min_revision`; then the Classifier
        embeds the inputs once for each backbone, and answers with one result for each input.
        """
        deadline = deadline_of(context)
        options = Options.read(request.options, self.settings.max_labels, "options")
        check_count(request.inputs, self.settings.max_inputs, "inputs")
        collection_ids = parse_collections(request.collections, _MAX_COLLECTIONS, "collections")
        await self.runtime.catalog.follower.wait_for_revision(options.min_revision, deadline)
        views = self.runtime.catalog.find_all(collection_ids, "collections")
        options.check_size(views, len(request.inputs), "options.top_k")
        return await self.runtime.classifier.classify(views, request.inputs, None, options, deadline)

    @streaming
    async def StreamClassify(
        self, requests: AsyncIterator[pb.StreamClassifyRequest], context: Context
    ) -> AsyncIterator[pb.StreamClassifyResponse]:
        """Classifies a stream of inputs against one or several collections.

        Checks the config, and then has the Classifier answer each input. An input that is refused gets a status, and
        the stream goes on.
        """
        deadline = deadline_of(context)

        async def classify(item: types_pb2.Input) -> pb.ClassifyResponse:
            # Find the collections again for each input: one may be deleted while the stream is open.
            views = self._views(config.collections, "config.collections")
            options.check_size(views, 1, "config.options.top_k", MAX_STREAM_ENTRIES)
            return await self.runtime.classifier.classify(views, [item], ["input"], options, deadline)

        async def answer(item: StreamInput) -> pb.StreamClassifyResponse:
            try:
                if item.refusal:
                    raise item.refusal
                [result] = (await retry_while_queue_full(lambda: classify(item.input), deadline)).results
            except RequestError as refusal:
                result = pb.ClassifyResult(id=item.input.id, status=item_status(refusal))
            return pb.StreamClassifyResponse(result=result)

        async with opened(self, requests) as config:
            options = Options.read(config.options, self.settings.max_labels, "config.options")
            await self.runtime.catalog.follower.wait_for_revision(options.min_revision, deadline)
            views = self._views(config.collections, "config.collections")
            options.check_size(views, 1, "config.options.top_k", MAX_STREAM_ENTRIES)
            async for response in answers(self, requests, answer):
                yield response

    @unary
    async def ClassifyZeroShot(
        self, request: pb.ClassifyZeroShotRequest, context: Context
    ) -> pb.ClassifyZeroShotResponse:
        """Classifies a list of inputs against labels that the request describes by prompts.

        Checks counts, mode and backbone; then `classify_zero_shot` embeds prompts and inputs, and compares them.
        """
        check_count(request.inputs, self.settings.max_inputs, "inputs")
        check_count(request.labels, _MAX_PROMPTED_LABELS, "labels")
        check_enum(request.mode, types_pb2.LabelMode.values(), "mode")
        top_k = request.top_k if request.HasField("top_k") else 5
        check_range(top_k, 1, self.settings.max_labels, "top_k")
        check_entries(len(request.inputs), min(top_k, len(request.labels)), "top_k")
        backbone = self.runtime.backbones.find(request.backbone, "backbone")
        if request.mode == types_pb2.LABEL_MODE_INDEPENDENT and backbone.manifest.logit_bias is None:
            message = f"{backbone.name} has no logit bias, which independent labels need; use exclusive labels"
            raise failed_precondition("LOGIT_BIAS_REQUIRED", message, "mode")
        backbone.check_prompts_alone()
        fields = input_fields(request.inputs)
        return await classify_zero_shot(
            backbone, request, fields, top_k, deadline_of(context), self.settings.max_inputs
        )

    @unary
    async def SearchExamples(self, request: pb.SearchExamplesRequest, context: Context) -> pb.SearchExamplesResponse:
        """Finds the nearest examples of each input.

        Checks counts and filters; waits for `min_revision`; embeds the inputs; then NeighborSearch searches all of them
        at once. The size of the response is checked as it grows.
        """
        started, deadline = time.monotonic(), deadline_of(context)
        check_count(request.inputs, self.settings.max_inputs, "inputs")
        top_k = request.top_k if request.HasField("top_k") else 10
        check_range(top_k, 1, _MAX_NEIGHBORS, "top_k")
        await self.runtime.catalog.follower.wait_for_revision(request.min_revision, deadline)
        view = self._view(request.collection, "collection")
        check_entries(len(request.inputs), min(top_k, view.examples.max_count), "top_k")
        search_filter = _search_filter(view, request)
        self.runtime.neighbors.check_searchable(view, len(request.inputs), deadline)
        source = source_of_collection(view.record, self.runtime.backbones)
        fields = input_fields(request.inputs)
        outcomes = await embed_things(source, request.inputs, fields, deadline, self.settings.max_inputs)
        revision, searching = view.record.revision, time.monotonic()
        queries = good_vectors(outcomes, source.dimension)
        neighbors = await self.runtime.neighbors.search_all(view, queries, top_k, search_filter)
        response, size = pb.SearchExamplesResponse(revision=revision), 0
        results = add_results(response.results.add, request.inputs, outcomes)
        prefix = resource_names.example_name(view.record.id, "")
        for result, nearest in zip(results, neighbors, strict=True):
            for values in evidence_fields(prefix, nearest):
                result.neighbors.add(**values)
            check_answer_bytes(size := size + result.ByteSize(), "top_k")
        head_seconds = time.monotonic() - searching
        record_stage("head", searching, head_seconds)
        set_timings(results, outcomes, started, head_seconds)
        return response

    def _views(self, collections: Sequence[str], field: str) -> list[CollectionView]:
        collection_ids = parse_collections(collections, _MAX_COLLECTIONS, field)
        return self.runtime.catalog.find_all(collection_ids, field)

    def _view(self, name: str, field: str) -> CollectionView:
        [collection_id] = resource_names.parse_name(name, "collections/*", field)
        return self.runtime.catalog.find(collection_id, field)


def _search_filter(view: CollectionView, request: pb.SearchExamplesRequest) -> SearchFilter | None:
    """Returns the labels and domains that a search is limited to; None for no limit. Raises RequestError."""
    labels: set[str] = set()
    if request.label_ids:
        check_count(request.label_ids, _MAX_LABELS, "label_ids")
    for position, label_id in enumerate(request.label_ids):
        if (kept_id := view.find_label(label_id)) is None:
            message = f"collection {view.record.id!r} has no label {label_id!r}"
            raise not_found("LABEL_NOT_FOUND", message, f"label_ids[{position}]")
        labels.add(kept_id)
    if request.domains:
        check_count(request.domains, _MAX_DOMAINS, "domains")
    for position, domain in enumerate(request.domains):
        check_length(domain, f"domains[{position}]")
    # An index keeps the spelling that it was built with, so both spellings are searched.
    domains = {*request.domains, *map(resource_names.normal, request.domains)}
    return SearchFilter(labels, domains) if labels or domains else None
