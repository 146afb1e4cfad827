"""Embeds waiting items again after the collection has switched to another backbone; calls go first."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glimpse.ledger import Ledger, ReviewItem
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import Backbones, LoadedBackbone
from glimpse.server.inference.embedder import Embedded, embed_all
from glimpse.server.inference.embedding_spaces import source_of_backbone
from glimpse.v1 import types_pb2

# Items embedded at a time, and the bytes of their inputs, which bound the memory.
_ITEMS, _BYTES = 32, 32 << 20
# Seconds between two looks at the items of a collection, unless it has switched.
_REST_SECONDS = 30.0


@dataclass(slots=True)
class _Look:
    """The last look at a collection: its space, the time, and the items that the backbone of this space refused."""

    space: str
    time: float = -math.inf
    refused: set[str] = field(default_factory=set)


class ItemReembedder:
    """Embeds the items of one collection at a time. Use it in the event loop's thread only."""

    def __init__(self, catalog: Catalog, backbones: Backbones) -> None:
        """Reads and writes through `catalog`."""
        self._catalog, self._backbones = catalog, backbones
        self._looks: dict[str, _Look] = {}

    async def advance(self, collection_id: str) -> bool:
        """Embeds the items of other spaces that have an input; returns whether there were any.

        An item whose input the backbone cannot embed keeps its space. A second server may do the same work, which
        stores the same vectors. Looks at a collection that has not switched at most every 30 seconds.

        Raises:
            LedgerError: The ledger is unavailable.
            RequestError: The backbone has too much to do.
        """
        view = next((view for view in self._catalog if view.record.id == collection_id), None)
        backbone = self._backbone(view) if view else None
        if view is None or backbone is None:
            return False
        space, after, stored = view.record.embedding_space, 0, False
        look = self._looks.get(collection_id)
        if look is None or look.space != space:
            look = self._looks[collection_id] = _Look(space)
        if time.monotonic() < look.time + _REST_SECONDS:
            return False
        while view.record.embedding_space == space:
            items = await self._catalog.read(
                lambda ledger: ledger.review.of_other_spaces(collection_id, space, after=after, limit=_ITEMS)  # noqa: B023
            )
            if not items:
                look.time = time.monotonic()
                break
            after = items[-1].sequence
            new = [item for item in items if item.id not in look.refused]
            stored = await self._embed(collection_id, backbone, new, look) or stored
        return stored

    def _backbone(self, view: CollectionView) -> LoadedBackbone | None:
        space = view.record.embedding_space
        return next((one for one in self._backbones if one.manifest.embedding_space == space), None)

    async def _embed(
        self, collection_id: str, backbone: LoadedBackbone, items: Sequence[ReviewItem], look: _Look
    ) -> bool:
        by_id, source = {item.id: item for item in items}, source_of_backbone(backbone)
        vectors: dict[str, bytes] = {}
        left = list(by_id)
        while left:
            contents = await self._catalog.read(lambda ledger: ledger.review.contents(collection_id, left, _BYTES))  # noqa: B023
            if not contents:  # the rest has left the queue
                break
            left = [item_id for item_id in left if item_id not in contents]
            for item_id, content in contents.items():
                await self._backbones.let_calls_go_first()
                [outcome] = await _embed_one(backbone, by_id[item_id], content)
                if isinstance(outcome, Embedded):
                    vectors[item_id] = outcome.vector.astype("<f4").tobytes()
                elif outcome.retry_delay is not None:
                    raise outcome
                else:
                    look.refused.add(item_id)

        def store(ledger: Ledger) -> int:
            return ledger.review.store_vectors(collection_id, source.embedding_space, vectors)

        return bool(vectors) and await self._catalog.read(store) > 0


async def _embed_one(backbone: LoadedBackbone, item: ReviewItem, content: bytes) -> Sequence[Embedded | RequestError]:
    text = item.modality == types_pb2.MODALITY_TEXT
    message = types_pb2.Input(text=content.decode()) if text else types_pb2.Input(image=content)
    return await embed_all(source_of_backbone(backbone), [message], [f"item {item.id}"], np.inf)
