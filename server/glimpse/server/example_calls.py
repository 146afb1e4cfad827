"""CollectionService's calls on examples."""

from collections.abc import Callable

from glimpse.ledger import Ledger
from glimpse.server import names
from glimpse.server.attachment import Attachment
from glimpse.server.enrolling import enroll
from glimpse.server.errors import not_found
from glimpse.server.messages import example_message
from glimpse.server.resource_calls import ResourceCalls
from glimpse.server.rpc import Context, deadline_of, unary
from glimpse.server.view import CollectionView
from glimpse.v1 import collection_service_pb2 as pb


class ExampleCalls(ResourceCalls):
    """See the contract."""

    @unary
    async def EnrollExamples(self, request: pb.EnrollExamplesRequest, context: Context) -> pb.EnrollExamplesResponse:
        """A list of examples."""
        view = self.view(request.parent, "parent")
        return await enroll(self.rooms, view, request, deadline_of(context))

    @unary
    async def GetExample(self, request: pb.GetExampleRequest, context: Context) -> pb.GetExampleResponse:
        """One example."""
        view, example_id = self.example(request.name)
        if (row := _row(view, example_id)) is not None:
            [record] = _below(view).records(row - 1, 1, None)
        else:
            record = await self.catalog.read(lambda ledger: ledger.example(view.record.id, example_id))
        space = view.record.embedding_space if request.include_vector else ""
        return pb.GetExampleResponse(example=example_message(view.record.id, record, space))

    @unary
    async def ListExamples(self, request: pb.ListExamplesRequest, context: Context) -> pb.ListExamplesResponse:
        """The examples of a collection, oldest first."""
        view = self.view(request.parent, "parent")
        collection_id, label_id = view.record.id, request.label_id or None
        if label_id is not None and label_id not in view.labels:
            raise not_found("LABEL_NOT_FOUND", f"there is no label {label_id!r}", "label_id")
        after = names.page_number(request.page_token)
        size = names.page_size(request.page_size)
        records = await self.catalog.read(
            lambda ledger: list(ledger.examples(collection_id, after=after, limit=size + 1, label_id=label_id))
        )
        if (below := view.examples.attachment) and len(records) <= size:
            records += below.records(after, size + 1 - len(records), label_id)
        space = view.record.embedding_space if request.include_vector else ""
        more = len(records) > size
        return pb.ListExamplesResponse(
            examples=[example_message(collection_id, record, space) for record in records[:size]],
            next_page_token=names.page_token(str(records[size - 1].sequence)) if more else "",
        )

    @unary
    async def DeleteExample(self, request: pb.DeleteExampleRequest, context: Context) -> pb.DeleteExampleResponse:
        """An example, and its effect."""
        view, example_id = self.example(request.name)

        def plan() -> Callable[[Ledger], int]:
            self.check_example(view, example_id)
            if (row := _row(view, example_id)) is not None:
                return lambda ledger: ledger.bury(view.record.id, row - _below(view).first)
            return lambda ledger: ledger.delete_example(view.record.id, example_id)

        def apply(revision: int) -> int:
            view.drop_example(example_id)
            return view.moved_to(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.DeleteExampleResponse(revision=revision)


def _row(view: CollectionView, example_id: str) -> int | None:
    """The id of an example that is a row of the index below; None: it was enrolled."""
    found = view.examples.find(example_id)
    return found if found is not None and view.examples.attachment and found >= _below(view).first else None


def _below(view: CollectionView) -> Attachment:
    assert view.examples.attachment is not None  # noqa: S101 (it has the row)
    return view.examples.attachment
