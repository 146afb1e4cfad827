"""Finds collections that hold examples which their adapted backbone was trained on."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import numpy as np

from glimpse.ledger import Ledger, LedgerError
from glimpse.server.collections.attached_index import AttachedIndex, content_key
from glimpse.server.collections.collection import CollectionView
from glimpse.server.inference.adapted_space import AdaptedSpace
from glimpse.server.scheduling.background import run_in_background

logger = logging.getLogger(__name__)
#: Runs a query of the ledger in a thread.
Read = Callable[[Callable[[Ledger], Any]], Awaitable[Any]]


class TrainingExamples:
    """Knows the embedding spaces of adapted backbones, and asks the ledger who holds their examples."""

    def __init__(self, spaces: Mapping[str, AdaptedSpace], read: Read) -> None:
        """Takes the adapted backbones by their embedding space; `read` runs a query of the ledger."""
        self._spaces, self._read = spaces, read

    async def held_by(self, view: CollectionView) -> AdaptedSpace | None:
        """Returns how the collection's backbone was adapted, if the collection holds an example of its training.

        If the ledger cannot be read, the collection counts as holding one, which promises less.
        """
        space = self._spaces.get(view.record.embedding_space)
        if space is None:
            return None
        index = view.examples.attached_index
        if index is not None and await run_in_background(lambda: _in_index(index, space)):
            return space
        try:
            held = await self._read(lambda ledger: ledger.holds_any(view.record.id, space.trained_on))
        except LedgerError:
            logger.exception("cannot look for training examples in collection %s", view.record.id)
            return space
        return space if held else None


def _in_index(attached: AttachedIndex, space: AdaptedSpace) -> bool:
    """Returns whether an attached index has a row of one of the contents; its keys are of 8 bytes of each digest."""
    keys = [content_key(bytes.fromhex(digest.removeprefix("sha256:"))) for digest in space.trained_on]
    present = attached.index.content_keys()[~attached.deleted]
    return bool(np.isin(np.array(keys, np.int64), present).any())
