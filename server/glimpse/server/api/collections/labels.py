"""CollectionService's calls on labels."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from glimpse.ledger import LabelRecord, Writer
from glimpse.server import resource_names, validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.handlers import Context, deadline_of, unary
from glimpse.server.api.pages import page_of
from glimpse.server.auth.caller import current
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import label_message
from glimpse.server.errors import already_exists, exhausted, failed_precondition, invalid
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.inference.prompt_embeddings import prompt_directions
from glimpse.v1 import collection_service_pb2 as pb


class LabelCalls(ResourceCalls):
    """See the contract."""

    @unary
    async def CreateLabel(self, request: pb.CreateLabelRequest, context: Context) -> pb.CreateLabelResponse:
        """A new label."""
        view = self.view(request.parent, "parent")
        label_id = validation.check_label_id(request.label_id, "label_id")
        described = await self._described(view, request, ("display_name", "prompts"), context)
        validation.check_enum(request.label.role, pb.LabelRole.values(), "label.role")
        record = LabelRecord(label_id, role=request.label.role, **described)

        def plan() -> Callable[[Writer], tuple[LabelRecord, int]]:
            self.catalog.check_current(view, "parent")
            if found := view.find_label(label_id):
                raise already_exists("LABEL_EXISTS", f"label {found!r} exists in {view.record.id!r}", "label_id")
            if len(view.labels) >= self.settings.max_labels:
                raise exhausted("TOO_MANY_LABELS", f"{len(view.labels)} labels are the most a collection takes")
            return lambda writer: writer.create_label(view.record.id, record)

        _, revision = await self.catalog.write(plan, _putting(view))
        return pb.CreateLabelResponse(label=label_message(view, label_id), revision=revision)

    @unary
    async def GetLabel(self, request: pb.GetLabelRequest, context: Context) -> pb.GetLabelResponse:
        """One label."""
        view, label_id = self.label(request.name, "name")
        return pb.GetLabelResponse(label=label_message(view, label_id))

    @unary
    async def ListLabels(self, request: pb.ListLabelsRequest, context: Context) -> pb.ListLabelsResponse:
        """The labels of a collection, by id."""
        view = self.view(request.parent, "parent")
        after = resource_names.page_after(request.page_token)
        later = (label for label in sorted(view.labels) if label > after)
        page, more = page_of((label_message(view, label) for label in later), request.page_size)
        return pb.ListLabelsResponse(
            labels=page,
            next_page_token=resource_names.page_token(resource_names.last_segment(page[-1].name)) if more else "",
        )

    @unary
    async def UpdateLabel(self, request: pb.UpdateLabelRequest, context: Context) -> pb.UpdateLabelResponse:
        """Another display name or other prompts."""
        view, label_id = self.label(request.label.name, "label.name")
        paths = validation.mask_paths(request.update_mask.paths)
        if unknown := set(paths) - {"display_name", "prompts"}:
            raise invalid("UNKNOWN_FIELD", f"{sorted(unknown)[0]!r} cannot be updated", "update_mask")
        changes = await self._described(view, request, paths, context)

        def plan() -> Callable[[Writer], tuple[LabelRecord, int]]:
            self.check_label(view, label_id, "label.name")
            changed = replace(view.labels[label_id], **changes)
            return lambda writer: writer.update_label(view.record.id, changed)

        _, revision = await self.catalog.write(plan, _putting(view))
        return pb.UpdateLabelResponse(label=label_message(view, label_id), revision=revision)

    @unary
    async def DeleteLabel(self, request: pb.DeleteLabelRequest, context: Context) -> pb.DeleteLabelResponse:
        """A label and, with force, its examples."""
        view, label_id = self.label(request.name, "name")

        def plan() -> Callable[[Writer], int]:
            self.check_label(view, label_id, "name")
            if (count := view.examples.count(label_id)) and not request.force:
                raise failed_precondition("LABEL_NOT_EMPTY", f"{count} examples would go too; say force", "force")
            below = view.examples.attached_index
            rows = (below.ids_of_label(label_id) - below.first).tolist() if below else []
            return lambda writer: writer.delete_label(view.record.id, label_id, rows)

        def apply(revision: int) -> int:
            view.remove_label(label_id)
            return view.set_revision(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.DeleteLabelResponse(revision=revision)

    async def _described(
        self,
        view: CollectionView,
        request: pb.CreateLabelRequest | pb.UpdateLabelRequest,
        paths: Sequence[str],
        context: Context,
    ) -> dict[str, Any]:
        """The record's fields that these paths of a request's label set, its prompts embedded."""
        given, fields = request.label, dict[str, Any]()
        if "display_name" in paths:
            validation.check_length(given.display_name, "label.display_name")
            fields["display_name"] = resource_names.normal(given.display_name)
        if "prompts" in paths:
            validation.check_prompts(given.prompts, "label.prompts")
            prompts = tuple(map(resource_names.normal, given.prompts))
            fields |= {"prompts": prompts, "prompt_vector": None}
            if prompts:
                source = source_of_collection(view.record, self.runtime.backbones)
                deadline, caller = deadline_of(context), current()
                spend = partial(caller.spend_texts, message=request)
                [direction] = await prompt_directions(source, [prompts], ["label.prompts"], deadline, spend)
                fields["prompt_vector"] = direction.astype("<f4").tobytes()
        return fields


def _putting(view: CollectionView) -> Callable[[tuple[LabelRecord, int]], int]:
    """Makes a written label visible in its collection."""

    def apply(written: tuple[LabelRecord, int]) -> int:
        record, revision = written
        view.put_label(record)
        return view.set_revision(revision)

    return apply
