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
from glimpse.server.scheduling.search_pool import SearchPool

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
        rows = max(len(index) for index in view.indexes)
        if not view.classifier.lda.dense or count * view.record.dimension * rows > _INLINE_SEARCH:
            self._pool.admission.check(deadline)

    async def find_neighborhood(self, view: CollectionView, queries: Array, k: int) -> Neighborhood:
        """Finds what an answer needs, and the k nearest examples as its evidence."""
        if not len(queries) or not view.classifier.labels:
            return Neighborhood([[] for _ in queries], NearestSimilarities.none(len(queries)))
        # How near examples are is asked for even where no evidence is.
        strangers = await self.search(view, view.indexes.negatives, queries, max(k, 1))
        while True:
            dense, gallery, candidates = view.classifier.lda.dense, view.label_index, None
            if dense:
                near = await self.search(view, view.indexes.answering, queries, max(k, 1))
            else:  # last: rows stay what they are as long as nothing is awaited
                candidates, near = await self._among_candidates(view, queries, max(k, 1))
            # An index of very many labels may have come meanwhile, or gone.
            if (view.classifier.lda.dense, view.label_index) == (dense, gallery):
                break
        return Neighborhood(
            _nearest(k, near, strangers), NearestSimilarities(_first(near), _first(strangers)), candidates
        )

    async def search_all(
        self, view: CollectionView, queries: Array, k: int, wanted: SearchFilter | None = None
    ) -> list[list[Neighbor]]:
        """The k nearest examples, of labels of any role; nearest first."""
        return _nearest(k, *[await self.search(view, index, queries, k, wanted) for index in view.indexes])

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
            below = view.examples.attached_index
            among = view.examples.select(wanted.labels, wanted.domains) if wanted else None
            if queries.size * len(index) <= _INLINE_SEARCH:
                return _named(view, *index.search(queries, k, among))
            found = await self._pool.run(index.search, queries, k, among)
            # Another index below calls its rows otherwise.
            if view.examples.attached_index is below:
                return _named(view, *found)

    async def _among_candidates(
        self, view: CollectionView, queries: Array, k: int
    ) -> tuple[Rows, list[list[Neighbor]]]:
        """Labels that come into question, and the nearest of their examples."""
        found = view.label_index.index
        if found is not None:
            _, numbers = await self._pool.run(found.search, queries, CANDIDATES)
            if view.indexes.answering.based:  # its vectors are on disk, and it finds the nearest by itself
                near = await self.search(view, view.indexes.answering, queries, k)
                return view.label_index.rows(view.classifier, numbers), near
            near = []
            for query, several in zip(queries, numbers, strict=True):
                ids = view.examples.ids_of_labels(view.label_index.labels(several))
                cosines = view.indexes.answering.vectors(ids) @ query
                order = np.argsort(-cosines, kind="stable")[:k]
                near += _named(view, cosines[order][None], ids[order][None])
                await asyncio.sleep(0)  # labels may have many examples each
            return view.label_index.rows(view.classifier, numbers), near
        # Until the gallery is built: the labels of the nearest examples.
        wide = await self.search(view, view.indexes.answering, queries, CANDIDATES)
        rows = np.full((len(queries), CANDIDATES), -1, np.intp)
        for place, several in enumerate(wide):
            for column, label in enumerate(dict.fromkeys(one.label_id for one in several)):
                row = view.classifier.lda.moments.row(label)
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
    return [
        [
            Neighbor(*example, similarity)
            for sequence, similarity in zip(ids, cosines, strict=True)
            if (example := view.examples.example(sequence))
        ]
        for ids, cosines in zip(sequences.tolist(), similarities.tolist(), strict=True)
    ]


def _first(near: Sequence[Sequence[Neighbor]]) -> "np.typing.NDArray[np.float64]":
    return np.array([several[0].similarity if several else -1.0 for several in near], np.float64)
