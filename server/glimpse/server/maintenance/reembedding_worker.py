"""Keeping shadows up with their collections, in the background: whoever asks comes first.

One server of those on a ledger does it for a collection, from where the ledger says that it stands; what another did
meanwhile is not done twice.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from glimpse.ledger import LedgerError, ReembeddingReader, ReembeddingRecord, Writer
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import Backbones, LoadedBackbone
from glimpse.server.maintenance.reembedding import (
    AT_ONCE,
    Lacking,
    backbone_of,
    embed_lacking,
    read_shadow,
    store,
    unprompted,
)

logger = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
# Examples in one write that puts them away.
_FOLDED = 500
# How long those who ask are let go first, before a few inputs of this go in between.
_PATIENCE_SECONDS, _LOOK_SECONDS = 1.0, 0.005


class Reembedder:
    """One collection after the other. For the event loop's thread alone."""

    def __init__(self, catalog: Catalog, backbones: Backbones) -> None:
        """Starts to work."""
        self._catalog, self._backbones = catalog, backbones
        # The revision of a collection whose shadow lacked nothing.
        self._done: WeakKeyDictionary[CollectionView, int] = WeakKeyDictionary()
        self._task = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Ends; what is embedded and not written yet will be embedded again."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            for view in list(self._catalog):
                try:
                    await self._catch_up(view)
                except (RequestError, LedgerError) as error:
                    logger.info("the shadow of collection %s waits: %s", view.record.id, error)
                except Exception:
                    logger.exception("the shadow of collection %s cannot be embedded", view.record.id)
            await asyncio.sleep(_POLL_SECONDS)

    async def _catch_up(self, view: CollectionView) -> None:
        if (shadow := view.shadow) is None or self._done.get(view) == view.record.revision:
            return
        if shadow.switches < 0:
            await self._fold(view)
            return
        if (backbone := backbone_of(shadow.embedding_space, self._backbones)) is None:
            return
        claim = await self._catalog.read(lambda ledger: ledger.try_lock(f"shadow of {view.record.id}"))
        if claim is None:
            return
        try:
            while await self._embed_some(view, shadow, backbone):
                pass
        finally:
            await self._catalog.read(lambda _: claim.release())

    async def _fold(self, view: CollectionView) -> None:
        """Puts away what is left of a re-embedding that has ended. Nothing that is seen changes by it."""

        def plan() -> Callable[[Writer], tuple[bool, int]]:
            self._catalog.check_current(view, "collection")
            return lambda writer: writer.clean_up_reembedding(view.record.id, _FOLDED)

        def apply(done: tuple[bool, int]) -> int:
            if done[0]:
                view.shadow = None
            return view.moved_to(done[1])

        while view.shadow and view.shadow.switches < 0:
            await self._let_others_go_first()
            await self._catalog.write(plan, apply)

    async def _embed_some(self, view: CollectionView, shadow: ReembeddingRecord, backbone: LoadedBackbone) -> bool:
        """Whether there was something to embed."""
        revision, reached, labels = view.record.revision, view.reached, list(view.labels.values())

        def read(there: ReembeddingReader) -> Lacking:
            return Lacking(there.pending_examples(reached.until, AT_ONCE), unprompted(labels, there)[:AT_ONCE])

        lacking = await read_shadow(self._catalog, view, shadow.switches, read)
        if not lacking:
            self._done[view] = revision
            return False
        found = await embed_lacking(backbone, lacking, self._let_others_go_first)
        await store(self._catalog, view, shadow.switches, reached, lacking, found)
        if lacking.examples:
            reached.until = lacking.examples[-1].sequence
        return view.shadow is shadow

    async def _let_others_go_first(self) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            waiting = any(one.images.depth or one.texts.depth for one in self._backbones)
            if not waiting or time.monotonic() > end:
                return
            await asyncio.sleep(_LOOK_SECONDS)
