"""CollectionService's calls on collections."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from glimpse.ledger import CollectionRecord, Writer
from glimpse.server import resource_names, validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.pages import page_of
from glimpse.server.auth.caller import current_caller
from glimpse.server.collections.messages import collection_message
from glimpse.server.collections.review_policy import REVIEW_FIELDS, review_fields
from glimpse.server.errors import RequestError, already_exists, failed_precondition, invalid
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2


class CollectionCalls(ResourceCalls):
    """Creates, reads, changes and deletes collections. Every method raises RequestError."""

    async def create(self, request: pb.CreateCollectionRequest) -> pb.CreateCollectionResponse:
        """Checks the request, writes a new collection bound to a loaded backbone, and returns it."""
        collection_id = request.collection_id
        validation.check_collection_id(collection_id, "collection_id")
        current_caller().check(collection_id, "collection_id")
        record = self._new_record(collection_id, request.collection)

        def plan() -> Callable[[Writer], CollectionRecord]:
            if self.catalog.exists(collection_id):
                message = f"collection {collection_id!r} exists"
                raise already_exists("COLLECTION_EXISTS", message, "collection_id")
            return lambda writer: writer.create_collection(record)

        record = await self.catalog.write(plan, self._put)
        view = self.catalog.find(collection_id, "collection_id")
        return pb.CreateCollectionResponse(collection=collection_message(view), revision=record.revision)

    def get(self, request: pb.GetCollectionRequest) -> pb.GetCollectionResponse:
        """Returns a collection, also one that cannot answer."""
        return pb.GetCollectionResponse(collection=collection_message(self.view(request.name, "name", usable=False)))

    def list_page(self, request: pb.ListCollectionsRequest) -> pb.ListCollectionsResponse:
        """Returns a page of the collections that the caller may read, ordered by id."""
        after = resource_names.page_after(request.page_token)
        may = current_caller().may
        later = (view for view in self.catalog if view.record.id > after and may(view.record.id))
        page, more = page_of(map(collection_message, later), request.page_size)
        return pb.ListCollectionsResponse(
            collections=page,
            next_page_token=resource_names.page_token(resource_names.last_segment(page[-1].name)) if more else "",
        )

    async def update(self, request: pb.UpdateCollectionRequest) -> pb.UpdateCollectionResponse:
        """Checks the new values, writes the fields that the mask names, and returns the collection."""
        new = request.collection
        view = self.view(new.name, "collection.name")
        validation.check_length(new.display_name, "collection.display_name")
        _check_policies(new)
        validation.check_head(new.pinned_head, view.record.label_mode, "collection.pinned_head")
        changes = _changes(new, validation.mask_paths(request.update_mask.paths))

        def plan() -> Callable[[Writer], CollectionRecord]:
            self.catalog.check_current(view, "collection.name")
            changed = replace(view.record, **changes)
            if view.reembedding and not changed.keep_inputs:
                message = f"the re-embedding of collection {view.record.id!r} needs its inputs; end it first"
                raise failed_precondition("REEMBEDDING_EXISTS", message, "collection.keep_inputs")
            if changed.names_as_prompts and not view.record.names_as_prompts:
                self._check_reads_text(changed)
            return lambda writer: writer.update_collection(changed)

        record = await self.catalog.write(plan, self._put)
        return pb.UpdateCollectionResponse(collection=collection_message(view), revision=record.revision)

    async def delete(self, request: pb.DeleteCollectionRequest) -> pb.DeleteCollectionResponse:
        """Deletes a collection, which must have no labels unless the request has `force`."""
        view = self.view(request.name, "name", usable=False)
        collection_id = view.record.id

        def check() -> None:
            self.catalog.check_current(view, "name")
            if view.labels and not request.force:
                counts = f"{len(view.labels)} labels and {len(view.examples)} examples"
                message = f"collection {collection_id!r} has {counts}, which would be deleted too; say force"
                raise failed_precondition("COLLECTION_NOT_EMPTY", message, "force")

        def plan() -> Callable[[Writer], int]:
            check()
            return lambda writer: writer.delete_collection(collection_id)

        def apply(revision: int) -> int:
            self.catalog.remove(collection_id)
            return revision

        check()
        if collection_id in self.runtime.review.usage.collections:
            # In transactions of bounded size. The one below holds the head, and deletes what has come since.
            await self.runtime.review.purge(collection_id)
        revision = await self.catalog.write(plan, apply)
        return pb.DeleteCollectionResponse(revision=revision)

    def _new_record(self, collection_id: str, new: pb.Collection) -> CollectionRecord:
        """Checks the fields of a new collection, and returns its record. Raises RequestError."""
        validation.check_length(new.display_name, "collection.display_name")
        _check_policies(new)
        validation.check_enum(new.label_mode, types_pb2.LabelMode.values(), "collection.label_mode")
        validation.check_head(new.pinned_head, new.label_mode, "collection.pinned_head")
        backbone = self.runtime.backbones.find(new.backbone, "collection.backbone")
        if new.names_as_prompts:
            backbone.check_reads_text()
        return CollectionRecord(
            collection_id,
            backbone.name,
            backbone.manifest.embedding_space,
            backbone.manifest.dimension,
            resource_names.normal(new.display_name),
            names_as_prompts=new.names_as_prompts,
            keep_inputs=new.keep_inputs,
            adapt_to_unlabeled=new.adapt_to_unlabeled,
            content_readable=new.content_readable,
            label_mode=new.label_mode,
            pinned_head=new.pinned_head,
            **_policy_fields(new.policy),
            **_policy_fields(new.embedding_space_policy),
            **review_fields(new.review_policy),
        )

    def _check_reads_text(self, record: CollectionRecord) -> None:
        backbone = source_of_collection(record, self.runtime.backbones).backbone
        if isinstance(backbone, RequestError):
            raise backbone
        backbone.check_reads_text()

    def _put(self, record: CollectionRecord) -> int:
        self.catalog.put(record)
        return record.revision


def _check_policies(new: pb.Collection) -> None:
    validation.check_policy(new.policy, "collection.policy")
    validation.check_embedding_space_policy(new.embedding_space_policy, "collection.embedding_space_policy")
    validation.check_review_policy(new.review_policy, "collection.review_policy")


def _changes(new: pb.Collection, paths: Sequence[str]) -> dict[str, Any]:
    """Returns the fields of the record that an update mask changes, with their new values. Raises RequestError."""
    changes: dict[str, Any] = {}
    for path in paths:
        match path.split("."):
            case ["display_name"]:
                changes[path] = resource_names.normal(new.display_name)
            case ["names_as_prompts" | "keep_inputs" | "adapt_to_unlabeled" | "content_readable" | "pinned_head"]:
                changes[path] = getattr(new, path)
            case ["review_policy"]:
                changes |= review_fields(new.review_policy)
            case ["review_policy", field] if field in REVIEW_FIELDS:
                changes[REVIEW_FIELDS[field]] = getattr(new.review_policy, field)
            case ["policy" | "embedding_space_policy" as name]:
                changes |= _policy_fields(getattr(new, name))
            case ["policy" | "embedding_space_policy" as name, field] if field in _policy_fields(getattr(new, name)):
                changes[field] = _policy_fields(getattr(new, name))[field]
            case _:
                raise invalid("UNKNOWN_FIELD", f"{path!r} cannot be updated", "update_mask")
    return changes


def _policy_fields(policy: pb.DecisionPolicy | pb.EmbeddingSpacePolicy) -> dict[str, Any]:
    """Returns the fields of a policy as the record has them: None if a number is unset."""
    numbers = [field.name for field in policy.DESCRIPTOR.fields if field.has_presence]
    fields: dict[str, Any] = {field: getattr(policy, field) if policy.HasField(field) else None for field in numbers}
    if isinstance(policy, pb.DecisionPolicy):
        fields["mistake_costs"] = tuple(
            (resource_names.normal(each.label_id), resource_names.normal(each.answered_label_id), each.cost)
            for each in policy.mistake_costs
        )
    return fields
