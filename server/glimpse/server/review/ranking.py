"""Ranks the items that wait, and keeps rankings for the pages of a list."""

import asyncio
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.review.ranking import rank_items
from glimpse.fewshot.statistics.unit_vectors import Floats
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import invalid
from glimpse.server.resource_names import page_after, page_token
from glimpse.server.review.enrolled import EnrolledSample
from glimpse.server.review.waiting import Waiting, read_waiting
from glimpse.server.scheduling.background import run_in_background

# A page token fixes a ranking for this long.
_SECONDS = 600.0
# Rankings of one collection, and bytes of all of them.
_MAX_RANKINGS, _MAX_BYTES = 4, 32 << 20
# Items whose likeness counts; further ones follow by their uncertainty.
_MAX_RANKED = 32_768


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The items of a collection in order, as of a moment.

    Attributes:
        id: Random.
        collection: The collection's id and its creation time.
        decisions: Only items with these decisions; empty means all.
        item_ids: The ids of the items, `(n,)` bytes.
        end: When it is forgotten, in time.monotonic() seconds.
    """

    id: str
    collection: tuple[str, int]
    decisions: frozenset[int]
    item_ids: "np.typing.NDArray[np.bytes_]"
    end: float

    def ids(self, start: int, end: int) -> list[str]:
        """Returns the ids from one place to another."""
        return [item_id.decode() for item_id in self.item_ids[start:end].tolist()]


class Rankings:
    """The rankings that page tokens name. Use it in the event loop's thread only."""

    def __init__(self, catalog: Catalog) -> None:
        """Reads items through `catalog`."""
        self._catalog = catalog
        self._rankings: OrderedDict[str, Ranking] = OrderedDict()
        self._one_at_a_time = asyncio.Lock()  # a ranking takes the memory of all vectors of the queue

    async def make(self, view: CollectionView, decisions: frozenset[int]) -> Ranking:
        """Ranks the items that wait now. Raises LedgerError."""
        async with self._one_at_a_time:
            collection_id, space = view.record.id, view.record.embedding_space
            waiting = await self._catalog.read(
                lambda ledger: read_waiting(ledger, collection_id, space, _MAX_RANKED, decisions)
            )
            enrolled = EnrolledSample.of(view, chosen=False)
            ids = await run_in_background(lambda: _ranked(waiting, enrolled))
        return Ranking(
            secrets.token_hex(8),
            (collection_id, view.record.create_time),
            decisions,
            np.array([item_id.encode() for item_id in ids], "S16"),
            time.monotonic() + _SECONDS,
        )

    def find(self, view: CollectionView, decisions: frozenset[int], token: str) -> tuple[Ranking, int]:
        """Returns the ranking of a page token, and the place of its page.

        Raises:
            RequestError: The token is of another list, or its ranking is forgotten.
        """
        ranking_id, _, place = page_after(token).partition(".")
        if len(ranking_id) != 16 or not place.isdecimal() or len(place) > 9:
            raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list", "page_token")
        ranking = self._rankings.get(ranking_id)
        if ranking is None or ranking.end < time.monotonic():
            message = "the ranking of this page token is forgotten; start from the first page"
            raise invalid("PAGE_TOKEN_EXPIRED", message, "page_token")
        if (ranking.collection, ranking.decisions) != ((view.record.id, view.record.create_time), decisions):
            raise invalid("INVALID_PAGE_TOKEN", "this page token is of another list", "page_token")
        return ranking, int(place)

    def token(self, ranking: Ranking, place: int) -> str:
        """Returns the token of the page from a place on, and keeps the ranking for it."""
        if ranking.id not in self._rankings:
            self._rankings[ranking.id] = ranking
            self._forget(ranking)
        return page_token(f"{ranking.id}.{place}")

    def _forget(self, newest: Ranking) -> None:
        now = time.monotonic()
        same = [one.id for one in self._rankings.values() if one.collection == newest.collection]
        ended = [one.id for one in self._rankings.values() if one.end < now]
        for ranking_id in {*same[:-_MAX_RANKINGS], *ended}:
            del self._rankings[ranking_id]
        while len(self._rankings) > 1 and sum(one.item_ids.nbytes for one in self._rankings.values()) > _MAX_BYTES:
            self._rankings.popitem(last=False)


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
