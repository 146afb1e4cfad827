"""CollectionService's calls on examples."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from glimpse.index import Ids
from glimpse.ledger import ExampleRecord, Ledger, NotFound, Writer
from glimpse.server import resource_names
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.handlers import Context, deadline_of, unary
from glimpse.server.api.pages import Page
from glimpse.server.collections.attached_index import Attachment
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import example_message
from glimpse.server.errors import invalid, not_found
from glimpse.v1 import collection_service_pb2 as pb

T = TypeVar("T")
# Examples that are read at a time: their metadata may have a quarter of a megabyte each.
_AT_ONCE = 32


class ExampleCalls(ResourceCalls):
    """See the contract."""

    @unary
    async def EnrollExamples(self, request: pb.EnrollExamplesRequest, context: Context) -> pb.EnrollExamplesResponse:
        """A list of examples."""
        view = self.view(request.parent, "parent")
        return await self.runtime.enroller.enroll(view, request, deadline_of(context))

    @unary
    async def GetExample(self, request: pb.GetExampleRequest, context: Context) -> pb.GetExampleResponse:
        """One example."""
        view, example_id = self.example(request.name)
        record, space = await self._record(view, example_id)
        space = space if request.include_vector else ""
        return pb.GetExampleResponse(example=example_message(view.record.id, record, space))

    async def _record(self, view: CollectionView, example_id: str) -> tuple[ExampleRecord, str]:
        """An example, and the space that the collection is of at that moment."""
        if (row := _row(view, example_id)) is None:
            try:
                return await self._read(view, lambda ledger: ledger.example(view.record.id, example_id))
            except NotFound:
                # Folded into the index meanwhile, perhaps.
                if (row := _row(view, example_id)) is None:
                    raise
        [record] = await asyncio.to_thread(_below(view).records, np.array([row], np.int64))
        return record, view.record.embedding_space

    async def _read(self, view: CollectionView, query: Callable[[Ledger], T]) -> tuple[T, str]:
        """With the collection's embedding space: while its backbone is switched, another than the view's."""

        def read(ledger: Ledger) -> tuple[T, str]:
            with ledger.consistent_view() as moment:
                record = moment.collection(view.record.id)
                return query(moment), record.embedding_space if record else ""

        return await self.catalog.read(read)

    @unary
    async def ListExamples(self, request: pb.ListExamplesRequest, context: Context) -> pb.ListExamplesResponse:
        """The examples of a collection, oldest first; then the rows of its index."""
        view = self.view(request.parent, "parent")
        label_id = view.find_label(request.label_id) if request.label_id else None
        if request.label_id and label_id is None:
            message = f"collection {view.record.id!r} has no label {request.label_id!r}"
            raise not_found("LABEL_NOT_FOUND", message, "label_id")
        place, most = _Place.read(request.page_token, view), resource_names.page_size(request.page_size)
        while True:
            below, page = view.examples.attachment, Page[ExampleRecord](most)
            space = await self._fill(page, view, place, label_id, vectors=request.include_vector)
            if view.examples.attachment is below:
                break
            # What was enrolled is in the index now: the same page, there.
            place = _Place.read(request.page_token, view)
        space = space if request.include_vector else ""
        return pb.ListExamplesResponse(
            examples=[example_message(view.record.id, record, space) for record in page.items],
            next_page_token=_Place.token(page.items[-1], below) if page.more else "",
        )

    async def _fill(
        self, page: Page[ExampleRecord], view: CollectionView, place: "_Place", label: str | None, *, vectors: bool
    ) -> str:
        """Fills a page with examples from a place on; returns their embedding space."""
        below, collection_id, space = view.examples.attachment, view.record.id, view.record.embedding_space

        def enrolled(ledger: Ledger) -> None:
            found = ledger.examples(
                collection_id, after=place.after, limit=page.most + 1, label_id=label, ahead=_AT_ONCE
            )
            page.fill((one, _size(one, vectors=vectors)) for one in found)

        if place.row is None:
            _, space = await self._read(view, enrolled)
        if below and not page.more:
            rows = below.page(-1 if place.row is None else place.row, page.most + 1 - len(page.items), label)
            await asyncio.to_thread(page.fill, _rows(below, rows, vectors=vectors))
        return space

    @unary
    async def DeleteExample(self, request: pb.DeleteExampleRequest, context: Context) -> pb.DeleteExampleResponse:
        """An example, and its effect."""
        view, example_id = self.example(request.name)

        def plan() -> Callable[[Writer], int]:
            self.check_example(view, example_id)
            if (row := _row(view, example_id)) is not None:
                return lambda writer: writer.tombstone(view.record.id, row - _below(view).first)
            return lambda writer: writer.delete_example(view.record.id, example_id)

        def apply(revision: int) -> int:
            view.drop_example(example_id)
            return view.moved_to(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.DeleteExampleResponse(revision=revision)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: after a sequence number, or after a row of the index."""

    after: int = 0
    row: int | None = None

    @classmethod
    def read(cls, token: str, view: CollectionView) -> Self:
        """From a page token. Raises RequestError where it is of an index that is there no more."""
        digest, dot, row = resource_names.page_after(token).partition(".")
        if not dot:
            return cls(resource_names.page_number(token))
        below = view.examples.attachment
        if below is None or not below.record.digest.startswith(digest) or not row.isdecimal():
            raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list as it is now", "page_token")
        return cls(row=int(row))

    @staticmethod
    def token(last: ExampleRecord, below: Attachment | None) -> str:
        """For the page after an example."""
        if below is None or last.sequence < below.first:
            return resource_names.page_token(str(last.sequence))
        return resource_names.page_token(f"{below.record.digest[:16]}.{last.sequence - below.first}")


def _rows(below: Attachment, rows: Ids, *, vectors: bool) -> Iterator[tuple[ExampleRecord, int]]:
    """Rows of an index as examples, read a few at a time, with their sizes."""
    for start in range(0, len(rows), _AT_ONCE):
        yield from ((one, _size(one, vectors=vectors)) for one in below.records(rows[start : start + _AT_ONCE]))


def _size(record: ExampleRecord, *, vectors: bool) -> int:
    """About the bytes of an example in a list."""
    metadata = (text for pair in record.metadata.items() for text in pair)
    texts = (record.id, record.label_id, record.content_digest, record.domain, *metadata)
    return sum(len(text.encode()) + 4 for text in texts) + (len(record.vector) if vectors else 0)


def _row(view: CollectionView, example_id: str) -> int | None:
    """The id of an example that is a row of the index below; None: it was enrolled."""
    found = view.examples.find(example_id)
    return found if found is not None and view.examples.attachment and found >= _below(view).first else None


def _below(view: CollectionView) -> Attachment:
    assert view.examples.attachment is not None  # noqa: S101 (it has the row)
    return view.examples.attachment
