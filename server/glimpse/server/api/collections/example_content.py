"""CollectionService's call for the kept originals of examples."""

from collections.abc import Sequence

from glimpse.ledger import Original
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.content import MAX_NAMES, KeptInput, check_readable, not_kept, read_contents
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import not_found
from glimpse.v1 import collection_service_pb2 as pb


class ExampleContentCalls(ResourceCalls):
    """Returns originals. Every method raises RequestError and LedgerError."""

    async def get(self, request: pb.BatchGetExampleContentRequest) -> pb.BatchGetExampleContentResponse:
        """Returns the kept originals of examples, or thumbnails of them."""
        view = self.view(request.parent, "parent", usable=False)
        ids = self.ids(view, request.names, "examples", MAX_NAMES)
        check_readable(view, request.thumbnail_size)
        collection_id = view.record.id
        originals = await self.catalog.read(lambda ledger: ledger.originals(collection_id, ids))

        async def read(digests: Sequence[str]) -> dict[str, bytes]:
            return await self.catalog.read(lambda ledger: ledger.original_contents(collection_id, digests))

        inputs = [
            _kept_input(view, name, example_id, originals.get(example_id))
            for name, example_id in zip(request.names, ids, strict=True)
        ]
        contents = await read_contents(inputs, read, self.runtime.decoders, request.thumbnail_size)
        return pb.BatchGetExampleContentResponse(contents=contents)


def _kept_input(view: CollectionView, name: str, example_id: str, original: Original | None) -> KeptInput:
    if view.examples.find(example_id) is None:
        message = f"collection {view.record.id!r} has no example {example_id!r}"
        return KeptInput(name, refusal=not_found("EXAMPLE_NOT_FOUND", message, "names"))
    if original is None or not original.size:
        return KeptInput(name, refusal=not_kept(name))
    return KeptInput(name, original.content_digest, original.modality, original.size)
