"""Ranks the items that wait."""

import asyncio

import numpy as np

from glimpse.fewshot.review.ranking import rank_items
from glimpse.fewshot.statistics.unit_vectors import Floats
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.review.enrolled import EnrolledSample
from glimpse.server.review.waiting import Waiting, read_waiting
from glimpse.server.scheduling.background import run_in_background

# Items whose likeness counts; further ones follow by their uncertainty.
_MAX_RANKED = 32_768


class Ranker:
    """Ranks items. Use it in the event loop's thread only."""

    def __init__(self, catalog: Catalog) -> None:
        """Reads items through `catalog`."""
        self._catalog = catalog
        self._one_at_a_time = asyncio.Lock()  # a ranking takes the memory of all vectors of the queue

    async def rank(self, view: CollectionView, decisions: frozenset[int]) -> list[str]:
        """Returns the ids of the items that wait now, those that teach most first.

        Args:
            view: The collection.
            decisions: Only items with these decisions; empty means all.

        Raises:
            LedgerError: The items cannot be read.
        """
        async with self._one_at_a_time:
            collection_id, space = view.record.id, view.record.embedding_space
            waiting = await self._catalog.read(
                lambda ledger: read_waiting(ledger, collection_id, space, _MAX_RANKED, decisions)
            )
            enrolled = EnrolledSample.of(view, chosen=False)
            return await run_in_background(lambda: _ranked(waiting, enrolled))


def _ranked(waiting: Waiting, enrolled: EnrolledSample) -> list[str]:
    order: list[int] = []
    if waiting.known:
        uncertainty: Floats = np.array([item.uncertainty for item in waiting.known])
        vectors = waiting.vectors
        try:
            examples = enrolled.read()
        except KeyError:  # one was deleted since; a ranking without the examples is still one
            examples = np.empty((0, vectors.shape[1]), np.float32)
        order = rank_items(vectors, uncertainty, examples, enrolled.labels).tolist()
    later = sorted(waiting.rest, key=lambda item: (-item.uncertainty, item.sequence))
    return [*(waiting.known[place].id for place in order), *(item.id for item in later)]
