"""Which examples, known strangers and labels are near an input."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot import Nearest
from glimpse.fewshot.vectors import Array, Rows
from glimpse.index import FlatIndex, Ids
from glimpse.server.context import Rooms
from glimpse.server.gallery import CANDIDATES
from glimpse.server.view import CollectionView, Neighbor

# Multiply-adds a search may take on the event loop: about a millisecond. Greater ones go to a thread.
_INLINE_SEARCH = 4_000_000


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """Of n queries: the nearest examples, nearest first; how near; and the labels that come into question."""

    neighbors: Sequence[Sequence[Neighbor]]
    nearest: Nearest
    #: Rows of the engine's labels, (n, k); None: all.
    candidates: Rows | None = None


async def look_around(rooms: Rooms, view: CollectionView, queries: Array, k: int) -> Neighborhood:
    """Finds what an answer needs, and the k nearest examples as its evidence."""
    if not len(queries) or not view.engine.labels:
        return Neighborhood([[] for _ in queries], Nearest.none(len(queries)))
    candidates = None
    if view.engine.lda.dense:
        # How near examples are is asked for even where no evidence is.
        near = await search(rooms, view, view.index, queries, max(k, 1))
    else:
        candidates, near = await _among_candidates(rooms, view, queries, max(k, 1))
    strangers = await search(rooms, view, view.negatives, queries, max(k, 1))
    together = [sorted((*a, *b), key=lambda one: -one.similarity)[:k] for a, b in zip(near, strangers, strict=True)]
    return Neighborhood(together, Nearest(_first(near), _first(strangers)), candidates)


async def search(
    rooms: Rooms, view: CollectionView, index: FlatIndex, queries: Array, k: int, among: Ids | None = None
) -> list[list[Neighbor]]:
    """The k nearest examples in an index, all or some; nearest first. In a thread where others would wait."""
    count = len(index) if among is None else len(among)
    if count == 0:
        return [[] for _ in queries]
    if queries.size * count <= _INLINE_SEARCH:
        return view.named(*index.search(queries, k, among))
    loop = asyncio.get_running_loop()
    return view.named(*await loop.run_in_executor(rooms.searchers, index.search, queries, k, among))


async def _among_candidates(
    rooms: Rooms, view: CollectionView, queries: Array, k: int
) -> tuple[Rows, list[list[Neighbor]]]:
    """Labels that come into question, and the nearest of their examples."""
    found, loop = view.gallery.index, asyncio.get_running_loop()
    if found is not None:
        _, numbers = await loop.run_in_executor(rooms.searchers, found.search, queries, CANDIDATES)
        candidates = view.gallery.rows(view.engine, numbers)
        labels = view.engine.labels
        near = []
        for query, row in zip(queries, candidates.tolist(), strict=True):
            ids = view.sequences_of([labels[one] for one in row if one >= 0])
            cosines = view.index.vectors(ids) @ query
            order = np.argsort(-cosines, kind="stable")[:k]
            near += view.named(cosines[order][None], ids[order][None])
        return candidates, near
    # Until the gallery is built: the labels of the nearest examples.
    wide = await search(rooms, view, view.index, queries, CANDIDATES)
    rows = np.full((len(queries), CANDIDATES), -1, np.intp)
    for place, several in enumerate(wide):
        for column, label in enumerate(dict.fromkeys(one.label_id for one in several)):
            row = view.engine.lda.moments.row(label)
            rows[place, column] = -1 if row is None else row
    return rows, [several[:k] for several in wide]


def _first(near: Sequence[Sequence[Neighbor]]) -> "np.typing.NDArray[np.float64]":
    return np.array([several[0].similarity if several else -1.0 for several in near], np.float64)
