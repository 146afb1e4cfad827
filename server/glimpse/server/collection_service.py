"""CollectionService: collections, labels and examples, kept and changed."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import TypeVar

from glimpse.ledger import CollectionRecord, LabelRecord
from glimpse.server import checks, names
from glimpse.server.context import Rooms, prompt_directions
from glimpse.server.enrolling import enroll
from glimpse.server.errors import Code, RequestError, exhausted, failed_precondition, invalid, not_found
from glimpse.server.messages import collection_message, example_message, label_message
from glimpse.server.rpc import Context, deadline_of, unary
from glimpse.server.view import CollectionView
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import collection_service_pb2_grpc

T = TypeVar("T")


class CollectionService(collection_service_pb2_grpc.CollectionServiceServicer):
    """See the contract."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.settings = rooms.settings
        self.catalog = rooms.catalog

    # Collections

    @unary
    async def CreateCollection(
        self, request: pb.CreateCollectionRequest, context: Context
    ) -> pb.CreateCollectionResponse:
        """A new, empty collection."""
        collection_id, given = request.collection_id, request.collection
        checks.check_collection_id(collection_id, "collection_id")
        checks.check_length(given.display_name, "collection.display_name")
        checks.check_policy(given.policy, "collection.policy")
        backbone = self.rooms.backbones.find(given.backbone, "collection.backbone")
        if self.catalog.exists(collection_id):
            raise _exists("COLLECTION_EXISTS", f"collection {collection_id!r} exists", "collection_id")
        record = CollectionRecord(
            collection_id,
            backbone.name,
            backbone.manifest.embedding_space,
            backbone.manifest.dimension,
            given.display_name,
            *_policy(given.policy),
        )

        def apply(record: CollectionRecord) -> int:
            self.catalog.put(record)
            return record.revision

        record = await self.catalog.write(lambda ledger: ledger.create_collection(record), apply)
        view = self.catalog.find(collection_id, "collection_id")
        return pb.CreateCollectionResponse(collection=collection_message(view), revision=record.revision)

    @unary
    async def GetCollection(self, request: pb.GetCollectionRequest, context: Context) -> pb.GetCollectionResponse:
        """One collection."""
        return pb.GetCollectionResponse(collection=collection_message(self._view(request.name, "name")))

    @unary
    async def ListCollections(self, request: pb.ListCollectionsRequest, context: Context) -> pb.ListCollectionsResponse:
        """The collections, by id."""
        after = names.page_after(request.page_token)
        later = (view for view in self.catalog if view.record.id > after)
        page, more = _page(later, request.page_size)
        return pb.ListCollectionsResponse(
            collections=[collection_message(view) for view in page],
            next_page_token=names.page_token(page[-1].record.id) if more else "",
        )

    @unary
    async def UpdateCollection(
        self, request: pb.UpdateCollectionRequest, context: Context
    ) -> pb.UpdateCollectionResponse:
        """Another display name or policy."""
        given = request.collection
        view = self._view(given.name, "collection.name")
        checks.check_length(given.display_name, "collection.display_name")
        checks.check_policy(given.policy, "collection.policy")
        threshold, margin = _policy(given.policy)
        changes: dict[str, object] = {}
        for path in checks.mask_paths(request.update_mask.paths):
            match path:
                case "display_name":
                    changes["display_name"] = given.display_name
                case "policy":
                    changes |= {"match_threshold": threshold, "match_margin": margin}
                case "policy.match_threshold":
                    changes["match_threshold"] = threshold
                case "policy.match_margin":
                    changes["match_margin"] = margin
                case _:
                    raise invalid("UNKNOWN_FIELD", f"{path!r} cannot be updated", "update_mask")

        def apply(record: CollectionRecord) -> int:
            self.catalog.put(record)
            return record.revision

        record = await self.catalog.write(
            lambda ledger: ledger.update_collection(replace(view.record, **changes)),  # type: ignore[arg-type]
            apply,
        )
        return pb.UpdateCollectionResponse(collection=collection_message(view), revision=record.revision)

    @unary
    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.DeleteCollectionResponse:
        """A collection and, with force, all that is in it."""
        view = self._view(request.name, "name")
        collection_id = view.record.id
        if view.labels and not request.force:
            message = f"{len(view.labels)} labels and {view.example_count} examples would go too; say force"
            raise failed_precondition("COLLECTION_NOT_EMPTY", message, "force")

        def apply(revision: int) -> int:
            self.catalog.drop(collection_id)
            return revision

        revision = await self.catalog.write(lambda ledger: ledger.delete_collection(collection_id), apply)
        return pb.DeleteCollectionResponse(revision=revision)

    # Labels

    @unary
    async def CreateLabel(self, request: pb.CreateLabelRequest, context: Context) -> pb.CreateLabelResponse:
        """A new label."""
        view = self._view(request.parent, "parent")
        checks.check_label_id(request.label_id, "label_id")
        if request.label_id in view.labels:
            message = f"label {request.label_id!r} exists in {view.record.id!r}"
            raise _exists("LABEL_EXISTS", message, "label_id")
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
        view, label = self._label(request.name, "name")
        return pb.GetLabelResponse(label=label_message(view, label.id))

    @unary
    async def ListLabels(self, request: pb.ListLabelsRequest, context: Context) -> pb.ListLabelsResponse:
        """The labels of a collection, by id."""
        view = self._view(request.parent, "parent")
        after = names.page_after(request.page_token)
        page, more = _page((label for label in sorted(view.labels) if label > after), request.page_size)
        return pb.ListLabelsResponse(
            labels=[label_message(view, label) for label in page],
            next_page_token=names.page_token(page[-1]) if more else "",
        )

    @unary
    async def UpdateLabel(self, request: pb.UpdateLabelRequest, context: Context) -> pb.UpdateLabelResponse:
        """Another display name or other prompts."""
        view, label = self._label(request.label.name, "label.name")
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
        view, label = self._label(request.name, "name")
        count = view.head.count(label.id)
        if count and not request.force:
            raise failed_precondition("LABEL_NOT_EMPTY", f"{count} examples would go too; say force", "force")

        def apply(revision: int) -> int:
            view.drop_label(label.id)
            return view.moved_to(revision)

        collection_id = view.record.id
        revision = await self.catalog.write(lambda ledger: ledger.delete_label(collection_id, label.id), apply)
        return pb.DeleteLabelResponse(revision=revision)

    # Examples

    @unary
    async def EnrollExamples(self, request: pb.EnrollExamplesRequest, context: Context) -> pb.EnrollExamplesResponse:
        """A list of examples."""
        view = self._view(request.parent, "parent")
        return await enroll(self.rooms, view, request, deadline_of(context))

    @unary
    async def GetExample(self, request: pb.GetExampleRequest, context: Context) -> pb.GetExampleResponse:
        """One example."""
        view, example_id = self._example(request.name)
        record = await self.catalog.read(lambda ledger: ledger.example(view.record.id, example_id))
        space = view.record.embedding_space if request.include_vector else ""
        return pb.GetExampleResponse(example=example_message(view.record.id, record, space))

    @unary
    async def ListExamples(self, request: pb.ListExamplesRequest, context: Context) -> pb.ListExamplesResponse:
        """The examples of a collection, oldest first."""
        view = self._view(request.parent, "parent")
        collection_id, label_id = view.record.id, request.label_id or None
        if label_id is not None and label_id not in view.labels:
            raise not_found("LABEL_NOT_FOUND", f"there is no label {label_id!r}", "label_id")
        after = names.page_number(request.page_token)
        size = names.page_size(request.page_size)
        records = await self.catalog.read(
            lambda ledger: list(ledger.examples(collection_id, after=after, limit=size + 1, label_id=label_id))
        )
        space = view.record.embedding_space if request.include_vector else ""
        more = len(records) > size
        return pb.ListExamplesResponse(
            examples=[example_message(collection_id, record, space) for record in records[:size]],
            next_page_token=names.page_token(str(records[size - 1].sequence)) if more else "",
        )

    @unary
    async def DeleteExample(self, request: pb.DeleteExampleRequest, context: Context) -> pb.DeleteExampleResponse:
        """An example, and its effect."""
        view, example_id = self._example(request.name)

        def apply(revision: int) -> int:
            view.drop_example(example_id)
            return view.moved_to(revision)

        collection_id = view.record.id
        revision = await self.catalog.write(lambda ledger: ledger.delete_example(collection_id, example_id), apply)
        return pb.DeleteExampleResponse(revision=revision)

    def _view(self, name: str, field: str) -> CollectionView:
        [collection_id] = names.parse_name(name, "collections/*", field)
        return self.catalog.find(collection_id, field)

    def _label(self, name: str, field: str) -> tuple[CollectionView, LabelRecord]:
        collection_id, label_id = names.parse_name(name, "collections/*/labels/*", field)
        view = self.catalog.find(collection_id, field)
        if label_id not in view.labels:
            message = f"collection {collection_id!r} has no label {label_id!r}"
            raise not_found("LABEL_NOT_FOUND", message, field)
        return view, view.labels[label_id]

    def _example(self, name: str) -> tuple[CollectionView, str]:
        collection_id, example_id = names.parse_name(name, "collections/*/examples/*", "name")
        view = self.catalog.find(collection_id, "name")
        if not view.has_example(example_id):
            message = f"collection {collection_id!r} has no example {example_id!r}"
            raise not_found("EXAMPLE_NOT_FOUND", message, "name")
        return view, example_id

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


def _page(items: Iterable[T], asked: int) -> tuple[list[T], bool]:
    """The first page of items, and whether there are more."""
    size = names.page_size(asked)
    page = list(islice(items, size + 1))
    return page[:size], len(page) > size


def _policy(policy: pb.DecisionPolicy) -> tuple[float | None, float | None]:
    return (
        policy.match_threshold if policy.HasField("match_threshold") else None,
        policy.match_margin if policy.HasField("match_margin") else None,
    )


def _exists(reason: str, message: str, field: str) -> RequestError:
    return RequestError(Code.ALREADY_EXISTS, reason, message, field)
