"""CollectionService's calls on labels."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from glimpse.ledger import LabelRecord, Writer
from glimpse.server import resource_names, validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.collections.label_relations import check_relations, check_unused, relation_fields
from glimpse.server.api.pages import page_of
from glimpse.server.auth.caller import current_caller
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import label_message
from glimpse.server.errors import already_exists, exhausted, failed_precondition, invalid
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.inference.prompt_embeddings import prompt_directions
from glimpse.v1 import collection_service_pb2 as pb

# The fields that an update can change; a creation reads these and the role.
_FIELDS = ("display_name", "prompts", "parent_label_id", "policy", "composition", "aliases")


class LabelCalls(ResourceCalls):
    """Creates, reads, changes and deletes labels. Every method raises RequestError."""

    async def create(self, request: pb.CreateLabelRequest, deadline: float) -> pb.CreateLabelResponse:
        """Checks the request, embeds the prompts, writes a new label, and returns it.

        Args:
            request: The request; its fields are checked here.
            deadline: When the caller stops waiting, in time.monotonic() seconds.
        """
        view = self.view(request.parent, "parent")
        label_id = validation.check_label_id(request.label_id, "label_id")
        fields = await self._fields(view, request, _FIELDS, deadline)
        validation.check_enum(request.label.role, pb.LabelRole.values(), "label.role")
        record = LabelRecord(label_id, role=request.label.role, **fields)

        def plan() -> Callable[[Writer], tuple[LabelRecord, int]]:
            self.catalog.check_current(view, "parent")
            if existing := view.find_label(label_id):
                message = f"label {existing!r} exists in collection {view.record.id!r}"
                raise already_exists("LABEL_EXISTS", message, "label_id")
            if len(view.labels) >= (limit := self.settings.max_labels):
                message = f"collection {view.record.id!r} has {len(view.labels)} labels; the limit is {limit}"
                raise exhausted("TOO_MANY_LABELS", message)
            check_relations(view, record)
            return lambda writer: writer.create_label(view.record.id, record)

        _, revision = await self.catalog.write(plan, _putting(view))
        return pb.CreateLabelResponse(label=label_message(view, label_id), revision=revision)

    def get(self, request: pb.GetLabelRequest) -> pb.GetLabelResponse:
        """Returns a label."""
        view, label_id = self.label(request.name, "name")
        return pb.GetLabelResponse(label=label_message(view, label_id))

    def list_page(self, request: pb.ListLabelsRequest) -> pb.ListLabelsResponse:
        """Returns a page of a collection's labels, ordered by id."""
        view = self.view(request.parent, "parent")
        after = resource_names.page_after(request.page_token)
        later = (label for label in sorted(view.labels) if label > after)
        page, more = page_of((label_message(view, label) for label in later), request.page_size)
        return pb.ListLabelsResponse(
            labels=page,
            next_page_token=resource_names.page_token(resource_names.last_segment(page[-1].name)) if more else "",
        )

    async def update(self, request: pb.UpdateLabelRequest, deadline: float) -> pb.UpdateLabelResponse:
        """Checks the new values, embeds new prompts, writes the fields that the mask names, and returns the label.

        Args:
            request: The request; its fields are checked here.
            deadline: When the caller stops waiting, in time.monotonic() seconds.
        """
        view, label_id = self.label(request.label.name, "label.name")
        paths = validation.mask_paths(request.update_mask.paths)
        if unknown := set(paths) - set(_FIELDS):
            raise invalid("UNKNOWN_FIELD", f"{sorted(unknown)[0]!r} cannot be updated", "update_mask")
        changes = await self._fields(view, request, paths, deadline)

        def plan() -> Callable[[Writer], tuple[LabelRecord, int]]:
            self.check_label(view, label_id, "label.name")
            changed = replace(view.labels[label_id], **changes)
            check_relations(view, changed)
            return lambda writer: writer.update_label(view.record.id, changed)

        _, revision = await self.catalog.write(plan, _putting(view))
        return pb.UpdateLabelResponse(label=label_message(view, label_id), revision=revision)

    async def delete(self, request: pb.DeleteLabelRequest) -> pb.DeleteLabelResponse:
        """Deletes a label, which must have no examples unless the request has `force`."""
        view, label_id = self.label(request.name, "name")

        def plan() -> Callable[[Writer], int]:
            self.check_label(view, label_id, "name")
            check_unused(view, label_id, "name")
            if (count := view.examples.count(label_id)) and not request.force:
                message = f"label {label_id!r} has {count} examples, which would be deleted too; say force"
                raise failed_precondition("LABEL_NOT_EMPTY", message, "force")
            attached = view.examples.attached_index
            rows = (attached.ids_of_label(label_id) - attached.first).tolist() if attached else []
            return lambda writer: writer.delete_label(view.record.id, label_id, rows)

        def apply(revision: int) -> int:
            view.remove_label(label_id)
            return view.set_revision(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.DeleteLabelResponse(revision=revision)

    async def _fields(
        self,
        view: CollectionView,
        request: pb.CreateLabelRequest | pb.UpdateLabelRequest,
        paths: Sequence[str],
        deadline: float,
    ) -> dict[str, Any]:
        """Checks the fields of a request's label that `paths` name, and returns them as the record has them."""
        label, fields = request.label, relation_fields(view, request.label, paths)
        if "display_name" in paths:
            validation.check_length(label.display_name, "label.display_name")
            fields["display_name"] = resource_names.normal(label.display_name)
        if "prompts" in paths:
            validation.check_prompts(label.prompts, "label.prompts")
            prompts = tuple(map(resource_names.normal, label.prompts))
            fields |= {"prompts": prompts, "prompt_vector": None}
            if prompts:
                source = source_of_collection(view.record, self.runtime.backbones)
                spend = partial(current_caller().spend_texts, message=request)
                [direction] = await prompt_directions(source, [prompts], ["label.prompts"], deadline, spend)
                fields["prompt_vector"] = direction.astype("<f4").tobytes()
        return fields


def _putting(view: CollectionView) -> Callable[[tuple[LabelRecord, int]], int]:
    """Returns a function that makes a written label visible in its collection."""

    def apply(written: tuple[LabelRecord, int]) -> int:
        record, revision = written
        view.put_label(record)
        return view.set_revision(revision)

    return apply
