"""CollectionService's calls on changing a collection's backbone."""

from collections.abc import Callable
from dataclasses import replace

from glimpse.ledger import ShadowRecord, Writer
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.handlers import Context, deadline_of, unary
from glimpse.server.auth.caller import current
from glimpse.server.auth.scopes import Scope
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress
from glimpse.server.collections.messages import collection_message
from glimpse.server.errors import Code, RequestError, already_exists, failed_precondition, invalid
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.maintenance.backbone_switch import Switched, ThereAlready, shadow_of
from glimpse.v1 import collection_service_pb2 as pb


class ReembeddingCalls(ResourceCalls):
    """See the contract."""

    @unary
    async def StartReembedding(
        self, request: pb.StartReembeddingRequest, context: Context
    ) -> pb.StartReembeddingResponse:
        """A shadow, to be embedded from now on."""
        view = self.view(request.collection, "collection")
        backbone = self.runtime.backbones.find(request.backbone, "backbone")
        space, dimension = backbone.manifest.embedding_space, backbone.manifest.dimension
        record = ShadowRecord(backbone.name, space, dimension)

        def plan() -> Callable[[Writer], tuple[ShadowRecord, int]]:
            self.catalog.check_current(view, "collection")
            _check_can_start(view, backbone)
            return lambda writer: writer.start_reembedding(view.record.id, record)

        def apply(done: tuple[ShadowRecord, int]) -> int:
            view.shadow, view.reached = done[0], ReembeddingProgress()
            return view.moved_to(done[1])

        try:
            _, revision = await self.catalog.write(plan, apply)
        except ThereAlready:
            revision = view.record.revision
        reembedding = await self.runtime.reembedding_status.message(view, shadow_of(view))
        return pb.StartReembeddingResponse(reembedding=reembedding, revision=revision)

    @unary
    async def GetReembedding(self, request: pb.GetReembeddingRequest, context: Context) -> pb.GetReembeddingResponse:
        """How far it is."""
        view = self.view(request.collection, "collection", usable=False)
        if request.measure:  # it loads and fits what the collection takes, once more
            replace(current(), scope=Scope.ADMIN).check(view.record.id, "measure")
        shadow = shadow_of(view)
        reembedding = await self.runtime.reembedding_status.message(view, shadow)
        if request.measure:
            await self.runtime.reembedding_status.measure(view, shadow, reembedding, deadline_of(context))
        return pb.GetReembeddingResponse(reembedding=reembedding)

    @unary
    async def SwitchBackbone(self, request: pb.SwitchBackboneRequest, context: Context) -> pb.SwitchBackboneResponse:
        """The collection by its other backbone."""
        view = self.view(request.collection, "collection")
        try:
            done = await self.runtime.backbone_switch.switch(view, request)
        except ThereAlready:
            done = Switched(view.record.revision)
        now = self.view(request.collection, "collection")
        return pb.SwitchBackboneResponse(
            collection=collection_message(now),
            revision=done.revision,
            former_policy=pb.DecisionPolicy(
                match_threshold=done.former.get("match_threshold"), match_margin=done.former.get("match_margin")
            ),
            former_embedding_space_policy=pb.EmbeddingSpacePolicy(min_space_cosine=done.former.get("min_space_cosine")),
            set_aside_count=done.set_aside,
        )

    @unary
    async def EndReembedding(self, request: pb.EndReembeddingRequest, context: Context) -> pb.EndReembeddingResponse:
        """The collection without its shadow."""
        view = self.view(request.collection, "collection", usable=False)

        def plan() -> Callable[[Writer], int]:
            self.catalog.check_current(view, "collection")
            shadow_of(view)
            return lambda writer: writer.end_reembedding(view.record.id)

        def apply(revision: int) -> int:
            view.shadow, view.measured = replace(shadow_of(view), turn=-1), None
            return view.moved_to(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.EndReembeddingResponse(collection=collection_message(view), revision=revision)


def _check_can_start(view: CollectionView, backbone: LoadedBackbone) -> None:
    """Raises RequestError, and ThereAlready where that re-embedding is under way."""
    record, space = view.record, backbone.manifest.embedding_space
    if space == record.embedding_space:
        message = f"collection {record.id!r} is of {backbone.name}'s embedding space already"
        raise invalid("SAME_EMBEDDING_SPACE", message, "backbone")
    if view.shadow and view.shadow.turn < 0:
        message = f"what is left of the re-embedding of {record.id!r} that ended is being put away"
        raise RequestError(Code.UNAVAILABLE, "REEMBEDDING_ENDING", message, "collection", retry_delay=0.5)
    if view.shadow and view.shadow.embedding_space == space:
        raise ThereAlready
    if view.shadow:
        message = f"collection {record.id!r} has a re-embedding, with {view.shadow.backbone}; end that first"
        raise already_exists("REEMBEDDING_EXISTS", message, "collection")
    if view.examples.attachment:
        message = f"the index under {record.id!r} is of one space: build one with {backbone.name}, detach this, switch"
        raise failed_precondition("INDEX_ATTACHED", f"{message}, attach that", "collection")
    if not record.keep_inputs:
        message = f"collection {record.id!r} keeps no inputs to embed again; set keep_inputs"
        raise failed_precondition("INPUTS_NOT_KEPT", message, "collection")
    if record.names_as_prompts:
        backbone.check_reads_text()
