"""Which examples, known strangers and labels are near an input."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot import NearestSimilarities
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.index import Ids, LayeredIndex
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.label_index import CANDIDATES
from glimpse.server.scheduling.thread_pool import SearchPool

# Multiply-adds a search may take on the event loop: about a millisecond. Greater ones go to a thread.
_INLINE_SEARCH = 4_000_000


@dataclass(frozen=True, slots=True)
class Neighbor:
    """An example near a query, and their cosine."""

    example_id: str
    label_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """Of n queries: the nearest examples, nearest first; how near; and the labels that come into question."""

    neighbors: Sequence[Sequence[Neighbor]]
    nearest: NearestSimilarities
    #: Rows of the engine's labels, (n, k); None: all.
    candidates: Rows | None = None


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """Labels and domains that a search is limited to; empty: all."""

    labels: Collection[str]
    domains: Collection[str]


class NeighborSearch:
    """Finds the examples and labels near a vector, in a thread where that would hold up others."""

    def __init__(self, pool: SearchPool) -> None:
        """Uses `pool` for every search that is too large for the event loop."""
        self._pool = pool

    def check_searchable(self, view: CollectionView, count: int, deadline: float) -> None:
        """Before `count` inputs are embedded: raises RequestError where their search would have to wait too long."""
        rows = max(map(len, view.indexes.all))
        if not view.engine.lda.dense or count * view.record.dimension * rows > _INLINE_SEARCH:
            self._pool.admission.check(deadline)

    async def find_neighborhood(self, view: CollectionView, queries: Array, k: int) -> Neighborhood:
        """Finds what an answer needs, and the k nearest examples as its evidence."""
        if not len(queries) or not view.engine.labels:
            return Neighborhood([[] for _ in queries], NearestSimilarities.none(len(queries)))
        # How near examples are is asked for even where no evidence is.
        negatives: Sequence[Sequence[Neighbor]] = [()] * len(queries)
        if len(view.indexes.negatives):
            negatives = await self.search(view, view.indexes.negatives, queries, max(k, 1))
        while True:
            dense, gallery, candidates = view.engine.lda.dense, view.gallery, None
            if dense:
                near = await self.search(view, view.indexes.answering, queries, max(k, 1))
            else:  # last: rows stay what they are as long as nothing is awaited
                candidates, near = await self._among_candidates(view, queries, max(k, 1))
            nearest = _nearest(k, near, negatives)
            similarities = NearestSimilarities(_first(near), _first(negatives))
            # An index of very many labels may have come meanwhile, or gone.
            if (view.engine.lda.dense, view.gallery) == (dense, gallery):
                return Neighborhood(nearest, similarities, candidates)

    async def search_all(
        self, view: CollectionView, queries: Array, k: int, wanted: SearchFilter | None = None
    ) -> list[list[Neighbor]]:
        """The k nearest examples, of labels of any role; nearest first."""
        indexes = list(filter(len, view.indexes.all)) or [view.indexes.answering]
        return _nearest(k, *[await self.search(view, index, queries, k, wanted) for index in indexes])

    async def search(
        self,
        view: CollectionView,
        index: LayeredIndex,
        queries: Array,
        k: int,
        wanted: SearchFilter | None = None,
    ) -> list[list[Neighbor]]:
        """The k nearest examples in an index, all or some; nearest first. In a thread where others would wait."""
        if not len(index):
            return [[] for _ in queries]
        while True:
            below = view.examples.attachment
            among = view.examples.among(wanted.labels, wanted.domains) if wanted else None
            if queries.size * len(index) <= _INLINE_SEARCH:
                return _named(view, *index.search(queries, k, among))
            found = await self._pool.run(index.search, queries, k, among)
            # Another index below calls its rows otherwise.
            if view.examples.attachment is below:
                return _named(view, *found)

    async def _among_candidates(
        self, view: CollectionView, queries: Array, k: int
    ) -> tuple[Rows, list[list[Neighbor]]]:
        """Labels that come into question, and the nearest of their examples."""
        found = view.gallery.index
        if found is not None:
            _, numbers = await self._pool.run(found.search, queries, CANDIDATES)
            if view.indexes.answering.based:  # its vectors are on disk, and it finds the nearest by itself
                near = await self.search(view, view.indexes.answering, queries, k)
                return view.gallery.rows(view.engine, numbers), near
            near = []
            for query, several in zip(queries, numbers, strict=True):
                ids = view.examples.of_labels(view.gallery.labels(several))
                cosines = view.indexes.answering.vectors(ids) @ query
                order = np.argsort(-cosines, kind="stable")[:k]
                near += _named(view, cosines[order][None], ids[order][None])
                await asyncio.sleep(0)  # labels may have many examples each
            return view.gallery.rows(view.engine, numbers), near
        # Until the gallery is built: the labels of the nearest examples.
        wide = await self.search(view, view.indexes.answering, queries, CANDIDATES)
        rows = np.full((len(queries), CANDIDATES), -1, np.intp)
        for place, several in enumerate(wide):
            for column, label in enumerate(dict.fromkeys(one.label_id for one in several)):
                row = view.engine.lda.moments.row(label)
                rows[place, column] = -1 if row is None else row
        return rows, [several[:k] for several in wide]


def _nearest(k: int, *found: Sequence[Sequence[Neighbor]]) -> list[list[Neighbor]]:
    """Of what several indexes found, (n,) lists each."""
    return [
        sorted((one for some in several for one in some), key=lambda one: -one.similarity)[:k]
        for several in zip(*found, strict=True)
    ]


def _named(view: CollectionView, similarities: Array, sequences: Ids) -> list[list[Neighbor]]:
    """What an index found, (n, k) each.

    An example deleted while a thread was searching is left out; so is -1, "no more".
    """
    examples = view.examples.examples(sequences)
    return [
        [Neighbor(*example, cosine) for example, cosine in zip(row, cosines, strict=True) if example]
        for row, cosines in zip(examples, similarities.tolist(), strict=True)
    ]


def _first(near: Sequence[Sequence[Neighbor]]) -> "np.typing.NDArray[np.float64]":
    return np.array([several[0].similarity if several else -1.0 for several in near], np.float64)
