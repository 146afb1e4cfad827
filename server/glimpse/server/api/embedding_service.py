"""EmbeddingService: embeds inputs, and lists the loaded backbones."""

import time
from collections.abc import AsyncIterator, Sequence

from glimpse.server import resource_names
from glimpse.server.api.handlers import Context, deadline_of, streaming, unary
from glimpse.server.api.pages import page_of
from glimpse.server.api.streaming import StreamInput, answers, opened, retry_while_queue_full
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.inference.batch_results import Outcome, add_results, good_vectors, set_timings
from glimpse.server.inference.embedder import input_fields
from glimpse.server.inference.embedding_spaces import Source, source_of_backbone
from glimpse.server.inference.views import embed_things
from glimpse.server.runtime import Runtime
from glimpse.server.validation import check_count
from glimpse.v1 import embedding_service_pb2 as pb
from glimpse.v1 import embedding_service_pb2_grpc, types_pb2

_MODALITIES = {"image": types_pb2.MODALITY_IMAGE, "text": types_pb2.MODALITY_TEXT}


class EmbeddingService(embedding_service_pb2_grpc.EmbeddingServiceServicer):
    """Checks requests, and has the loaded backbones embed inputs."""

    def __init__(self, runtime: Runtime) -> None:
        """Answers with the parts of `runtime`."""
        self.runtime = runtime
        self.settings = runtime.settings

    @unary
    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        """Checks backbone and count, embeds a list of inputs, and returns one result for each."""
        started = time.monotonic()
        source = source_of_backbone(self.runtime.backbones.find(request.backbone, "backbone"))
        check_count(request.inputs, self.settings.max_inputs, "inputs")
        fields = input_fields(request.inputs)
        outcomes = await embed_things(source, request.inputs, fields, deadline_of(context), self.settings.max_inputs)
        return _respond(source, request.inputs, outcomes, started)

    @streaming
    async def StreamEmbed(
        self, requests: AsyncIterator[pb.StreamEmbedRequest], context: Context
    ) -> AsyncIterator[pb.StreamEmbedResponse]:
        """Embeds a stream of inputs. An input that is refused gets a status, and the stream goes on."""
        deadline = deadline_of(context)

        async def embed(item: StreamInput) -> pb.StreamEmbedResponse:
            started = time.monotonic()
            outcomes: list[Outcome]
            try:
                if item.refusal:
                    raise item.refusal
                outcomes = await retry_while_queue_full(
                    lambda: embed_things(source, [item.input], ["input"], deadline, self.settings.max_inputs), deadline
                )
            except RequestError as refusal:
                outcomes = [refusal]
            [result] = _respond(source, [item.input], outcomes, started).results
            return pb.StreamEmbedResponse(result=result)

        async with opened(self, requests) as config:
            source = source_of_backbone(self.runtime.backbones.find(config.backbone, "config.backbone"))
            async for response in answers(self, requests, embed):
                yield response

    @unary
    async def ListBackbones(self, request: pb.ListBackbonesRequest, context: Context) -> pb.ListBackbonesResponse:
        """Returns a page of the loaded backbones, ordered by name."""
        after = resource_names.page_after(request.page_token)
        later = (backbone for backbone in self.runtime.backbones if backbone.name > after)
        page, more = page_of(map(_backbone, later), request.page_size)
        return pb.ListBackbonesResponse(
            backbones=page, next_page_token=resource_names.page_token(page[-1].name) if more else ""
        )

    @unary
    async def GetBackbone(self, request: pb.GetBackboneRequest, context: Context) -> pb.GetBackboneResponse:
        """Returns one loaded backbone."""
        resource_names.parse_name(request.name, "backbones/*", "name")
        return pb.GetBackboneResponse(backbone=_backbone(self.runtime.backbones.find(request.name, "name")))


def _respond(
    source: Source, inputs: Sequence[types_pb2.Input], outcomes: Sequence[Outcome], started: float
) -> pb.EmbedResponse:
    vectors = good_vectors(outcomes, source.dimension)
    space = source.embedding_space
    response = pb.EmbedResponse()
    results = add_results(response.results.add, inputs, outcomes)
    for result, row in zip(results, vectors, strict=True):
        result.vector.data, result.vector.embedding_space = row.tobytes(), space
    set_timings(results, outcomes, started)
    return response


def _backbone(backbone: LoadedBackbone) -> pb.Backbone:
    manifest = backbone.manifest
    parent, threshold = manifest.parent, manifest.decision.match_threshold
    return pb.Backbone(
        name=backbone.name,
        description=manifest.description,
        modalities=[_MODALITIES[modality] for modality in manifest.modalities],
        dimension=manifest.dimension,
        embedding_space=manifest.embedding_space,
        image_size=manifest.image.size if manifest.image else 0,
        context_length=manifest.text.context_length if manifest.text else 0,
        logit_scale=manifest.logit_scale or 0,
        logit_bias=manifest.logit_bias,
        prompt_templates=manifest.prompt_templates,
        license=manifest.license,
        providers=backbone.encoder.providers,
        default_match_threshold=-1 if threshold is None else threshold,
        parent_embedding_space=parent.embedding_space if parent else "",
        parent_min_cosine=parent.min_cosine if parent else 0,
        background_vocabulary_size=backbone.background.size,
    )
