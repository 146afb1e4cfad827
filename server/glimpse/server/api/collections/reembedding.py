"""CollectionService's calls on re-embedding: changing the backbone of a collection."""

from collections.abc import Callable
from dataclasses import replace

from glimpse.ledger import ReembeddingRecord, Writer
from glimpse.server import resource_names
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.pages import Page
from glimpse.server.auth.caller import current_caller
from glimpse.server.auth.scopes import Scope
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress
from glimpse.server.collections.messages import collection_message
from glimpse.server.errors import Code, RequestError, already_exists, failed_precondition, invalid
from glimpse.server.inference.backbones import LoadedBackbone
from glimpse.server.maintenance.backbone_switch import NothingToDo, SwitchResult, reembedding_of
from glimpse.v1 import collection_service_pb2 as pb


class ReembeddingCalls(ResourceCalls):
    """Starts, reads, switches and ends re-embeddings. Every method raises RequestError."""

    async def start(self, request: pb.StartReembeddingRequest) -> pb.StartReembeddingResponse:
        """Checks that the collection can be re-embedded, and writes the re-embedding, which the worker then fills."""
        view = self.view(request.collection, "collection")
        backbone = self.runtime.backbones.find(request.backbone, "backbone")
        space, dimension = backbone.manifest.embedding_space, backbone.manifest.dimension
        record = ReembeddingRecord(backbone.name, space, dimension)

        def plan() -> Callable[[Writer], tuple[ReembeddingRecord, int]]:
            self.catalog.check_current(view, "collection")
            _check_can_start(view, backbone)
            return lambda writer: writer.start_reembedding(view.record.id, record)

        def apply(written: tuple[ReembeddingRecord, int]) -> int:
            view.reembedding, view.reembedding_progress = written[0], ReembeddingProgress()
            return view.set_revision(written[1])

        try:
            _, revision = await self.catalog.write(plan, apply)
        except NothingToDo:
            revision = view.record.revision
        reembedding = await self.runtime.reembedding_status.message(view, reembedding_of(view))
        return pb.StartReembeddingResponse(reembedding=reembedding, revision=revision)

    async def get(self, request: pb.GetReembeddingRequest, deadline: float) -> pb.GetReembeddingResponse:
        """Returns the progress and, with `measure`, the reports with both backbones.

        Args:
            request: The request. `measure` needs the scope admin, because it loads and fits the collection once more.
            deadline: When the caller stops waiting, in time.monotonic() seconds.
        """
        view = self.view(request.collection, "collection", usable=False)
        if request.measure:
            replace(current_caller(), scope=Scope.ADMIN).check(view.record.id, "measure")
        shadow = reembedding_of(view)
        reembedding = await self.runtime.reembedding_status.message(view, shadow)
        if request.measure:
            await self.runtime.reembedding_status.measure(view, shadow, reembedding, deadline)
        return pb.GetReembeddingResponse(reembedding=reembedding)

    async def list_page(self, request: pb.ListReembeddingsRequest) -> pb.ListReembeddingsResponse:
        """Returns a page of the re-embeddings that the caller may read, ordered by the collection's id."""
        after, may = resource_names.page_after(request.page_token), current_caller().may
        page = Page[pb.Reembedding](resource_names.page_size(request.page_size))
        for view in list(self.catalog):
            reembedding = view.reembedding
            if view.record.id <= after or not may(view.record.id) or not reembedding or reembedding.switches < 0:
                continue
            message = await self.runtime.reembedding_status.message(view, reembedding, failures=0)
            page.fill([(message, message.ByteSize())])
            if page.more:
                break
        last = resource_names.last_segment(page.items[-1].collection) if page.more else ""
        return pb.ListReembeddingsResponse(
            reembeddings=page.items, next_page_token=resource_names.page_token(last) if page.more else ""
        )

    async def switch(self, request: pb.SwitchBackboneRequest) -> pb.SwitchBackboneResponse:
        """Has BackboneSwitch exchange the two backbones of the collection, and returns the collection."""
        view = self.view(request.collection, "collection")
        try:
            switched = await self.runtime.backbone_switch.switch(view, request)
        except NothingToDo:
            switched = SwitchResult(view.record.revision)
        former = switched.former
        return pb.SwitchBackboneResponse(
            # The switch replaced the view.
            collection=collection_message(self.view(request.collection, "collection")),
            revision=switched.revision,
            former_policy=pb.DecisionPolicy(
                match_threshold=former.get("match_threshold"), match_margin=former.get("match_margin")
            ),
            former_embedding_space_policy=pb.EmbeddingSpacePolicy(min_space_cosine=former.get("min_space_cosine")),
            set_aside_count=switched.set_aside,
        )

    async def end(self, request: pb.EndReembeddingRequest) -> pb.EndReembeddingResponse:
        """Ends the re-embedding, whose rows the worker then removes, and returns the collection."""
        view = self.view(request.collection, "collection", usable=False)

        def plan() -> Callable[[Writer], int]:
            self.catalog.check_current(view, "collection")
            reembedding_of(view)
            return lambda writer: writer.end_reembedding(view.record.id)

        def apply(revision: int) -> int:
            view.reembedding, view.reembedding_report = replace(reembedding_of(view), switches=-1), None
            return view.set_revision(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.EndReembeddingResponse(collection=collection_message(view), revision=revision)


def _check_can_start(view: CollectionView, backbone: LoadedBackbone) -> None:
    """Checks that a collection can be re-embedded with a backbone.

    Raises:
        RequestError: The collection cannot be re-embedded.
        NothingToDo: The same re-embedding is under way.
    """
    record, space = view.record, backbone.manifest.embedding_space
    if space == record.embedding_space:
        message = f"collection {record.id!r} has the embedding space of {backbone.name} already"
        raise invalid("SAME_EMBEDDING_SPACE", message, "backbone")
    if view.reembedding and view.reembedding.switches < 0:
        message = f"the server is removing the last re-embedding of collection {record.id!r}; retry"
        raise RequestError(Code.UNAVAILABLE, "REEMBEDDING_ENDING", message, "collection", retry_delay=0.5)
    if view.reembedding and view.reembedding.embedding_space == space:
        raise NothingToDo
    if view.reembedding:
        message = f"collection {record.id!r} has a re-embedding with {view.reembedding.backbone}; end it first"
        raise already_exists("REEMBEDDING_EXISTS", message, "collection")
    if view.examples.attached_index:
        message = (
            f"the index of collection {record.id!r} cannot be re-embedded: build another one with {backbone.name}, "
            "detach the old one, re-embed and switch, then attach the new one"
        )
        raise failed_precondition("INDEX_ATTACHED", message, "collection")
    if not record.keep_inputs:
        message = f"collection {record.id!r} keeps no inputs to embed again; set keep_inputs"
        raise failed_precondition("INPUTS_NOT_KEPT", message, "collection")
    if record.names_as_prompts:
        backbone.check_reads_text()
