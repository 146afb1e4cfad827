"""Re-embeds collections in the background; calls go first.

One server at a time embeds a collection. It starts from the ledger's record of what is embedded, so that no example is
embedded twice.
"""

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakKeyDictionary

from glimpse.ledger import LedgerError, ReembeddingReader, ReembeddingRecord, Writer
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import Backbones, LoadedBackbone
from glimpse.server.maintenance.reembedding import (
    BATCH_SIZE,
    PendingInputs,
    backbone_of,
    embed_pending,
    labels_to_embed,
    read_reembedding,
    store,
)

logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
# Examples in one write that removes the vectors of an ended re-embedding.
_REMOVED_AT_ONCE = 500


class Reembedder:
    """Re-embeds one collection after the other. Use it in the event loop's thread only."""

    def __init__(self, catalog: Catalog, backbones: Backbones) -> None:
        """Starts a task that embeds with `backbones` and writes through `catalog`, until `close`."""
        self._catalog, self._backbones = catalog, backbones
        # The revision at which a collection had nothing left to embed.
        self._complete: WeakKeyDictionary[CollectionView, int] = WeakKeyDictionary()
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Stops; inputs that are embedded but not written will be embedded again."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            for view in list(self._catalog):
                try:
                    await self._advance(view)
                except (RequestError, LedgerError) as error:
                    logger.info("the re-embedding of collection %s waits: %s", view.record.id, error)
                except Exception:
                    logger.exception("cannot re-embed collection %s", view.record.id)
            await asyncio.sleep(_POLL_SECONDS)

    async def _advance(self, view: CollectionView) -> None:
        """Embeds everything that a collection lacks, or removes what an ended re-embedding left."""
        if (reembedding := view.reembedding) is None or self._complete.get(view) == view.record.revision:
            return
        if reembedding.switches < 0:
            await self._remove_ended(view)
            return
        if (backbone := backbone_of(reembedding.embedding_space, self._backbones)) is None:
            return
        claim = await self._catalog.read(lambda ledger: ledger.try_lock(f"shadow of {view.record.id}"))
        if claim is None:  # another server embeds this collection
            return
        try:
            while await self._embed_some(view, reembedding, backbone):
                pass
        finally:
            await self._catalog.read(lambda _: claim.release())

    async def _remove_ended(self, view: CollectionView) -> None:
        """Removes the vectors of a re-embedding that has ended. No call sees a difference."""

        def plan() -> Callable[[Writer], tuple[bool, int]]:
            self._catalog.check_current(view, "collection")
            return lambda writer: writer.clean_up_reembedding(view.record.id, _REMOVED_AT_ONCE)

        def apply(result: tuple[bool, int]) -> int:
            complete, revision = result
            if complete:
                view.reembedding = None
            return view.set_revision(revision)

        while view.reembedding and view.reembedding.switches < 0:
            await self._backbones.let_calls_go_first()
            await self._catalog.write(plan, apply)

    async def _embed_some(self, view: CollectionView, reembedding: ReembeddingRecord, backbone: LoadedBackbone) -> bool:
        """Embeds one batch; returns whether there may be more."""
        revision, progress, labels = view.record.revision, view.reembedding_progress, list(view.labels.values())

        def read(reader: ReembeddingReader) -> PendingInputs:
            examples = reader.pending_examples(progress.last_sequence, BATCH_SIZE)
            return PendingInputs(examples, labels_to_embed(labels, reader)[:BATCH_SIZE])

        pending = await read_reembedding(self._catalog, view, reembedding.switches, read)
        if not pending:
            self._complete[view] = revision
            return False
        embedded = await embed_pending(backbone, pending, self._backbones.let_calls_go_first)
        await store(self._catalog, view, reembedding.switches, progress, pending, embedded)
        if pending.examples:
            progress.last_sequence = pending.examples[-1].sequence
        return view.reembedding is reembedding
