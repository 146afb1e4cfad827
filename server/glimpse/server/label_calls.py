"""CollectionService's calls on labels."""

from dataclasses import replace

from glimpse.ledger import LabelRecord
from glimpse.server import checks, names
from glimpse.server.context import prompt_directions
from glimpse.server.errors import already_exists, exhausted, failed_precondition, invalid
from glimpse.server.messages import label_message
from glimpse.server.resource_calls import ResourceCalls, page_of
from glimpse.server.rpc import Context, deadline_of, unary
from glimpse.server.view import CollectionView
from glimpse.v1 import collection_service_pb2 as pb


class LabelCalls(ResourceCalls):
    """See the contract."""

    @unary
    async def CreateLabel(self, request: pb.CreateLabelRequest, context: Context) -> pb.CreateLabelResponse:
        """A new label."""
        view = self.view(request.parent, "parent")
        checks.check_label_id(request.label_id, "label_id")
        if request.label_id in view.labels:
            message = f"label {request.label_id!r} exists in {view.record.id!r}"
            raise already_exists("LABEL_EXISTS", message, "label_id")
        if len(view.labels) >= self.settings.max_labels:
            raise exhausted("TOO_MANY_LABELS", f"{len(view.labels)} labels are the most a collection takes")
        record = await self._described(view, LabelRecord(request.label_id), request.label, context)

        def apply(created: tuple[LabelRecord, int]) -> int:
            view.put_label(created[0])
            return view.moved_to(created[1])

        collection_id = view.record.id
        _, revision = await self.catalog.write(lambda ledger: ledger.create_label(collection_id, record), apply)
        return pb.CreateLabelResponse(label=label_message(view, record.id), revision=revision)

    @unary
    async def GetLabel(self, request: pb.GetLabelRequest, context: Context) -> pb.GetLabelResponse:
        """One label."""
        view, label = self.label(request.name, "name")
        return pb.GetLabelResponse(label=label_message(view, label.id))

    @unary
    async def ListLabels(self, request: pb.ListLabelsRequest, context: Context) -> pb.ListLabelsResponse:
        """The labels of a collection, by id."""
        view = self.view(request.parent, "parent")
        after = names.page_after(request.page_token)
        page, more = page_of((label for label in sorted(view.labels) if label > after), request.page_size)
        return pb.ListLabelsResponse(
            labels=[label_message(view, label) for label in page],
            next_page_token=names.page_token(page[-1]) if more else "",
        )

    @unary
    async def UpdateLabel(self, request: pb.UpdateLabelRequest, context: Context) -> pb.UpdateLabelResponse:
        """Another display name or other prompts."""
        view, label = self.label(request.label.name, "label.name")
        paths = checks.mask_paths(request.update_mask.paths)
        if unknown := set(paths) - {"display_name", "prompts"}:
            raise invalid("UNKNOWN_FIELD", f"{sorted(unknown)[0]!r} cannot be updated", "update_mask")
        given = pb.Label(
            display_name=request.label.display_name if "display_name" in paths else label.display_name,
            prompts=request.label.prompts if "prompts" in paths else label.prompts,
        )
        record = await self._described(view, label, given, context)

        def apply(updated: tuple[LabelRecord, int]) -> int:
            view.put_label(updated[0])
            return view.moved_to(updated[1])

        collection_id = view.record.id
        _, revision = await self.catalog.write(lambda ledger: ledger.update_label(collection_id, record), apply)
        return pb.UpdateLabelResponse(label=label_message(view, record.id), revision=revision)

    @unary
    async def DeleteLabel(self, request: pb.DeleteLabelRequest, context: Context) -> pb.DeleteLabelResponse:
        """A label and, with force, its examples."""
        view, label = self.label(request.name, "name")
        count = view.head.count(label.id)
        if count and not request.force:
            raise failed_precondition("LABEL_NOT_EMPTY", f"{count} examples would go too; say force", "force")

        def apply(revision: int) -> int:
            view.drop_label(label.id)
            return view.moved_to(revision)

        collection_id = view.record.id
        revision = await self.catalog.write(lambda ledger: ledger.delete_label(collection_id, label.id), apply)
        return pb.DeleteLabelResponse(revision=revision)

    async def _described(
        self, view: CollectionView, label: LabelRecord, given: pb.Label, context: Context
    ) -> LabelRecord:
        """A label with the display name and prompts given, its prompts embedded."""
        checks.check_length(given.display_name, "label.display_name")
        checks.check_prompts(given.prompts, "label.prompts")
        vector = label.prompt_vector
        if tuple(given.prompts) != label.prompts:
            vector = None
            if given.prompts:
                source, deadline = self.rooms.source_of(view), deadline_of(context)
                [direction] = await prompt_directions(source, [given.prompts], ["label.prompts"], deadline)
                vector = direction.astype("<f4").tobytes()
        return replace(label, display_name=given.display_name, prompts=tuple(given.prompts), prompt_vector=vector)
