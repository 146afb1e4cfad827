"""CollectionService's calls on collections."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from glimpse.ledger import CollectionRecord, Writer
from glimpse.server import resource_names, validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.handlers import Context, unary
from glimpse.server.api.pages import page_of
from glimpse.server.auth.caller import current
from glimpse.server.collections.messages import collection_message
from glimpse.server.errors import RequestError, already_exists, failed_precondition, invalid
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2


class CollectionCalls(ResourceCalls):
    """See the contract."""

    @unary
    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: Context
    ) -> pb.CreateCollectionResponse:
        """A new, empty collection."""
        collection_id, given = request.collection_id, request.collection
        validation.check_collection_id(collection_id, "collection_id")
        current().check(collection_id, "collection_id")
        validation.check_length(given.display_name, "collection.display_name")
        validation.check_policy(given.policy, "collection.policy")
        validation.check_embedding_space_policy(given.embedding_space_policy, "collection.embedding_space_policy")
        validation.check_enum(given.label_mode, types_pb2.LabelMode.values(), "collection.label_mode")
        validation.check_head(given.pinned_head, given.label_mode, "collection.pinned_head")
        backbone = self.runtime.backbones.find(given.backbone, "collection.backbone")
        record = CollectionRecord(
            collection_id,
            backbone.name,
            backbone.manifest.embedding_space,
            backbone.manifest.dimension,
            resource_names.normal(given.display_name),
            names_as_prompts=given.names_as_prompts,
            keep_inputs=given.keep_inputs,
            label_mode=given.label_mode,
            pinned_head=given.pinned_head,
            **_policy(given.policy),
            **_policy(given.embedding_space_policy),
        )
        if record.names_as_prompts:
            backbone.check_reads_text()

        def plan() -> Callable[[Writer], CollectionRecord]:
            if self.catalog.exists(collection_id):
                raise already_exists("COLLECTION_EXISTS", f"collection {collection_id!r} exists", "collection_id")
            return lambda writer: writer.create_collection(record)

        record = await self.catalog.write(plan, self._put)
        view = self.catalog.find(collection_id, "collection_id")
        return pb.CreateCollectionResponse(collection=collection_message(view), revision=record.revision)

    @unary
    async def GetCollection(self, request: pb.GetCollectionRequest, context: Context) -> pb.GetCollectionResponse:
        """One collection."""
        return pb.GetCollectionResponse(collection=collection_message(self.view(request.name, "name", usable=False)))

    @unary
    async def ListCollections(self, request: pb.ListCollectionsRequest, context: Context) -> pb.ListCollectionsResponse:
        """The collections that the caller may read, by id."""
        after = resource_names.page_after(request.page_token)
        may = current().may
        later = (view for view in self.catalog if view.record.id > after and may(view.record.id))
        page, more = page_of(map(collection_message, later), request.page_size)
        return pb.ListCollectionsResponse(
            collections=page,
            next_page_token=resource_names.page_token(resource_names.last_segment(page[-1].name)) if more else "",
        )

    @unary
    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, context: Context
    ) -> pb.UpdateCollectionResponse:
        """Another display name or policy."""
        given = request.collection
        view = self.view(given.name, "collection.name")
        validation.check_length(given.display_name, "collection.display_name")
        validation.check_policy(given.policy, "collection.policy")
        validation.check_embedding_space_policy(given.embedding_space_policy, "collection.embedding_space_policy")
        validation.check_head(given.pinned_head, view.record.label_mode, "collection.pinned_head")
        changes = _changes(given, validation.mask_paths(request.update_mask.paths))

        def plan() -> Callable[[Writer], CollectionRecord]:
            self.catalog.check_current(view, "collection.name")
            changed = replace(view.record, **changes)
            if view.shadow and not changed.keep_inputs:
                message = f"collection {view.record.id!r} is changing its backbone, which needs them; end that first"
                raise failed_precondition("REEMBEDDING_EXISTS", message, "collection.keep_inputs")
            if changed.names_as_prompts and not view.record.names_as_prompts:
                self._check_reads_text(changed)
            return lambda writer: writer.update_collection(changed)

        record = await self.catalog.write(plan, self._put)
        return pb.UpdateCollectionResponse(collection=collection_message(view), revision=record.revision)

    @unary
    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.DeleteCollectionResponse:
        """A collection and, with force, all that is in it."""
        view = self.view(request.name, "name", usable=False)
        collection_id = view.record.id

        def plan() -> Callable[[Writer], int]:
            self.catalog.check_current(view, "name")
            if view.labels and not request.force:
                message = f"{len(view.labels)} labels and {len(view.examples)} examples would go too; say force"
                raise failed_precondition("COLLECTION_NOT_EMPTY", message, "force")
            return lambda writer: writer.delete_collection(collection_id)

        def apply(revision: int) -> int:
            self.catalog.drop(collection_id)
            return revision

        revision = await self.catalog.write(plan, apply)
        return pb.DeleteCollectionResponse(revision=revision)

    def _check_reads_text(self, record: CollectionRecord) -> None:
        backbone = source_of_collection(record, self.runtime.backbones).backbone
        if isinstance(backbone, RequestError):
            raise backbone
        backbone.check_reads_text()

    def _put(self, record: CollectionRecord) -> int:
        self.catalog.put(record)
        return record.revision


def _changes(given: pb.Collection, paths: Sequence[str]) -> dict[str, Any]:
    """The record's fields that these paths of a collection set. Raises RequestError."""
    changes: dict[str, Any] = {}
    for path in paths:
        match path.split("."):
            case ["display_name"]:
                changes[path] = resource_names.normal(given.display_name)
            case ["names_as_prompts" | "keep_inputs" | "pinned_head"]:
                changes[path] = getattr(given, path)
            case ["policy" | "embedding_space_policy" as name]:
                changes |= _policy(getattr(given, name))
            case ["policy" | "embedding_space_policy" as name, field] if field in _policy(getattr(given, name)):
                changes[field] = _policy(getattr(given, name))[field]
            case _:
                raise invalid("UNKNOWN_FIELD", f"{path!r} cannot be updated", "update_mask")
    return changes


def _policy(policy: pb.DecisionPolicy | pb.EmbeddingSpacePolicy) -> dict[str, Any]:
    """The policy's fields as the record has them; None: unset."""
    fields = [field.name for field in policy.DESCRIPTOR.fields]
    return {field: getattr(policy, field) if policy.HasField(field) else None for field in fields}
