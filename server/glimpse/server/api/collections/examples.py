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
from glimpse.server.api.pages import Page
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import example_message
from glimpse.server.errors import invalid, not_found
from glimpse.v1 import collection_service_pb2 as pb

T = TypeVar("T")
# Examples read from the ledger or an index at once. The metadata of one may have a quarter of a megabyte.
_READ_AHEAD = 32


class ExampleCalls(ResourceCalls):
    """Enrolls, reads and deletes examples. Every method raises RequestError."""

    async def enroll(self, request: pb.EnrollExamplesRequest, deadline: float) -> pb.EnrollExamplesResponse:
        """Finds the collection, and has the Enroller embed and write the examples.

        Args:
            request: The request; the Enroller checks its examples.
            deadline: When the caller stops waiting, in time.monotonic() seconds.

        Returns:
            One result for each example, and the revision with these examples.
        """
        view = self.view(request.parent, "parent")
        return await self.runtime.enroller.enroll(view, request, deadline)

    async def get(self, request: pb.GetExampleRequest) -> pb.GetExampleResponse:
        """Returns an example, with its vector if the request has `include_vector`."""
        view, example_id = self.example(request.name)
        record, space = await self._record(view, example_id)
        space = space if request.include_vector else ""
        return pb.GetExampleResponse(example=example_message(view.record.id, record, space))

    async def list_page(self, request: pb.ListExamplesRequest) -> pb.ListExamplesResponse:
        """Returns a page of a collection's examples: those enrolled, oldest first, then the rows of its index."""
        view = self.view(request.parent, "parent")
        label_id = view.find_label(request.label_id) if request.label_id else None
        if request.label_id and label_id is None:
            message = f"collection {view.record.id!r} has no label {request.label_id!r}"
            raise not_found("LABEL_NOT_FOUND", message, "label_id")
        start, most = _PageStart.read(request.page_token, view), resource_names.page_size(request.page_size)
        while True:
            attached, page = view.examples.attached_index, Page[ExampleRecord](most)
            space = await self._fill(page, view, start, label_id, vectors=request.include_vector)
            if view.examples.attached_index is attached:
                break
            # A compaction moved the enrolled examples into a new index: read the same page there.
            start = _PageStart.read(request.page_token, view)
        space = space if request.include_vector else ""
        return pb.ListExamplesResponse(
            examples=[example_message(view.record.id, record, space) for record in page.items],
            next_page_token=_PageStart.token(page.items[-1], attached) if page.more else "",
        )

    async def delete(self, request: pb.DeleteExampleRequest) -> pb.DeleteExampleResponse:
        """Deletes an enrolled example, or marks a row of the attached index as deleted."""
        view, example_id = self.example(request.name)

        def plan() -> Callable[[Writer], int]:
            self.check_example(view, example_id, "name")
            if (row_id := _row_id(view, example_id)) is not None:
                return lambda writer: writer.tombstone(view.record.id, row_id - _attached_index(view).first)
            return lambda writer: writer.delete_example(view.record.id, example_id)

        def apply(revision: int) -> int:
            view.remove_examples([example_id])
            return view.set_revision(revision)

        revision = await self.catalog.write(plan, apply)
        return pb.DeleteExampleResponse(revision=revision)

    async def _record(self, view: CollectionView, example_id: str) -> tuple[ExampleRecord, str]:
        """Reads an example, and the embedding space that the collection had at the same moment."""
        if (row_id := _row_id(view, example_id)) is None:
            try:
                return await self._read(view, lambda ledger: ledger.example(view.record.id, example_id))
            except NotFound:
                # A compaction may have moved it into the index since.
                if (row_id := _row_id(view, example_id)) is None:
                    raise
        [record] = await asyncio.to_thread(_attached_index(view).records, np.array([row_id], np.int64))
        return record, view.record.embedding_space

    async def _read(self, view: CollectionView, query: Callable[[Ledger], T]) -> tuple[T, str]:
        """Reads the ledger, and the collection's embedding space, which differs from the view's during a switch."""

        def read(ledger: Ledger) -> tuple[T, str]:
            with ledger.consistent_view() as reader:
                record = reader.collection(view.record.id)
                return query(reader), record.embedding_space if record else ""

        return await self.catalog.read(read)

    async def _fill(
        self, page: Page[ExampleRecord], view: CollectionView, start: "_PageStart", label: str | None, *, vectors: bool
    ) -> str:
        """Fills a page with the examples from `start` on; returns their embedding space."""
        attached, collection_id, space = view.examples.attached_index, view.record.id, view.record.embedding_space

        def read_enrolled(ledger: Ledger) -> None:
            records = ledger.examples(
                collection_id, after=start.after, limit=page.most + 1, label_id=label, ahead=_READ_AHEAD
            )
            page.fill((record, _size(record, vectors=vectors)) for record in records)

        if start.row is None:
            _, space = await self._read(view, read_enrolled)
        if attached and not page.more:
            last_row = -1 if start.row is None else start.row
            ids = attached.page(last_row, page.most + 1 - len(page.items), label)
            await asyncio.to_thread(page.fill, _rows(attached, ids, vectors=vectors))
        return space


@dataclass(frozen=True, slots=True)
class _PageStart:
    """The start of a page: after a sequence number of the ledger, or after a row of the attached index."""

    after: int = 0
    row: int | None = None

    @classmethod
    def read(cls, token: str, view: CollectionView) -> Self:
        """Parses a page token. Raises RequestError for a token of an index that is no longer attached."""
        digest, dot, row = resource_names.page_after(token).partition(".")
        if not dot:
            return cls(resource_names.page_number(token))
        attached = view.examples.attached_index
        if attached is None or not attached.record.digest.startswith(digest) or not row.isdecimal():
            message = "this page token belongs to an index that is no longer attached; start from the first page"
            raise invalid("INVALID_PAGE_TOKEN", message, "page_token")
        return cls(row=int(row))

    @staticmethod
    def token(last: ExampleRecord, attached: AttachedIndex | None) -> str:
        """Returns the token of the page after an example."""
        if attached is None or last.sequence < attached.first:
            return resource_names.page_token(str(last.sequence))
        return resource_names.page_token(f"{attached.record.digest[:16]}.{last.sequence - attached.first}")


def _rows(attached: AttachedIndex, ids: Ids, *, vectors: bool) -> Iterator[tuple[ExampleRecord, int]]:
    """Reads rows of an index in blocks; yields each as an example, with its size in bytes."""
    for start in range(0, len(ids), _READ_AHEAD):
        records = attached.records(ids[start : start + _READ_AHEAD])
        yield from ((record, _size(record, vectors=vectors)) for record in records)


def _size(record: ExampleRecord, *, vectors: bool) -> int:
    """Estimates the bytes of an example in a response."""
    metadata = (text for pair in record.metadata.items() for text in pair)
    texts = (record.id, record.label_id, record.content_digest, record.domain, record.group, *metadata)
    return sum(len(text.encode()) + 4 for text in texts) + (len(record.vector) if vectors else 0)


def _row_id(view: CollectionView, example_id: str) -> int | None:
    """Returns the id of an example that is a row of the attached index; None for an enrolled one."""
    id, attached = view.examples.find(example_id), view.examples.attached_index
    return id if id is not None and attached and id >= attached.first else None


def _attached_index(view: CollectionView) -> AttachedIndex:
    assert view.examples.attached_index is not None  # noqa: S101  (the caller found a row of it)
    return view.examples.attached_index
