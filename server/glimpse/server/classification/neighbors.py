"""Finds the examples, negative examples and labels near an input."""

import asyncio
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot import NearestSimilarities
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.index import Ids, LayeredIndex
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.label_index import CANDIDATES
from glimpse.server.scheduling.thread_pool import SearchPool

# The most multiply-adds of a search on the event loop: about a millisecond. Larger searches run in a thread.
_MAX_INLINE = 4_000_000


# Not frozen: a call makes many, and a frozen dataclass takes three times as long to create.
@dataclass(slots=True)
class Neighbor:
    """An example near a query, and their cosine."""

    example_id: str
    label_id: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Neighborhood:
    """The surroundings of n queries.

    Attributes:
        neighbors: The nearest examples of each query, nearest first.
        nearest: The cosines to the nearest example and the nearest negative example.
        candidates: The labels to score, as rows of the classifier, `(n, k)`; None: all labels.
    """

    neighbors: Sequence[Sequence[Neighbor]]
    nearest: NearestSimilarities
    candidates: Rows | None = None


@dataclass(frozen=True, slots=True)
class SearchFilter:
    """The labels and domains that a search is limited to; an empty collection does not limit it."""

    labels: Collection[str]
    domains: Collection[str]


class NeighborSearch:
    """Finds the examples and labels near a vector, in a thread if the search takes long."""

    def __init__(self, pool: SearchPool) -> None:
        """Runs every search that is too large for the event loop in `pool`."""
        self._pool = pool

    def check_searchable(self, view: CollectionView, count: int, deadline: float) -> None:
        """Checks, before inputs are embedded, that their search can run in time.

        Args:
            view: The collection.
            count: The number of inputs.
            deadline: In time.monotonic() seconds.

        Raises:
            RequestError: The queue of searches is too long.
        """
        rows = max(map(len, view.indexes.all))
        if not view.classifier.lda.dense or count * view.record.dimension * rows > _MAX_INLINE:
            self._pool.admission.check(deadline)

    async def find_neighborhood(self, view: CollectionView, queries: Array, k: int) -> Neighborhood:
        """Finds what a classification needs.

        Args:
            view: The collection.
            queries: Vectors of length 1, `(n, d)`.
            k: The number of examples to return as evidence for each query.
        """
        if not len(queries) or not view.classifier.labels:
            return Neighborhood([[] for _ in queries], NearestSimilarities.none(len(queries)))
        # The decision needs the nearest similarity even if the caller wants no evidence, hence at least one.
        negatives: Sequence[Sequence[Neighbor]] = ()
        if len(view.indexes.negatives):
            negatives = await self.search(view, view.indexes.negatives, queries, max(k, 1))
        while True:
            dense, label_index, candidates = view.classifier.lda.dense, view.label_index, None
            if dense:
                examples = await self.search(view, view.indexes.answering, queries, max(k, 1))
            else:  # as the last step: the classifier's rows stay valid only until the next await
                candidates, examples = await self._search_candidates(view, queries, max(k, 1))
            neighbors = _merge(k, examples, negatives) if negatives else [near[:k] for near in examples]
            nearest = NearestSimilarities(
                _nearest_similarity(examples), _nearest_similarity(negatives or [()] * len(queries))
            )
            # The label index may have been built or removed during the search.
            if (view.classifier.lda.dense, view.label_index) == (dense, label_index):
                return Neighborhood(neighbors, nearest, candidates)

    async def search_all(
        self, view: CollectionView, queries: Array, k: int, filter: SearchFilter | None = None
    ) -> list[list[Neighbor]]:
        """Returns the k examples nearest to each query, `(n, d)`, whatever the role of their label; nearest first."""
        indexes = list(itertools.compress(view.indexes.all, map(len, view.indexes.all))) or [view.indexes.answering]
        return _merge(k, *[await self.search(view, index, queries, k, filter) for index in indexes])

    async def search(
        self,
        view: CollectionView,
        index: LayeredIndex,
        queries: Array,
        k: int,
        filter: SearchFilter | None = None,
    ) -> list[list[Neighbor]]:
        """Returns the k examples of one index nearest to each query, `(n, d)`; nearest first."""
        if not len(index):
            return [[] for _ in queries]
        while True:
            attached = view.examples.attached_index
            selection = view.examples.select(filter.labels, filter.domains) if filter else None
            if queries.size * len(index) <= _MAX_INLINE:
                return _neighbors(view, *index.search(queries, k, selection))
            similarities, ids = await self._pool.run(index.search, queries, k, selection)
            # If another index was attached during the search, the ids of its rows are other ones.
            if view.examples.attached_index is attached:
                return _neighbors(view, similarities, ids)

    async def _search_candidates(
        self, view: CollectionView, queries: Array, k: int
    ) -> tuple[Rows, list[list[Neighbor]]]:
        """Returns candidate labels, `(n, k)`, and the nearest of their examples."""
        candidate_index = view.label_index.index
        if candidate_index is None:
            return await self._labels_of_nearest(view, queries, k)
        _, numbers = await self._pool.run(candidate_index.search, queries, CANDIDATES)
        if view.indexes.answering.based:  # its vectors are on disk; its own search is faster than reading them
            neighbors = await self.search(view, view.indexes.answering, queries, k)
            return view.label_index.rows(view.classifier, numbers), neighbors
        neighbors = []
        for query, candidates in zip(queries, numbers, strict=True):
            ids = view.examples.ids_of_labels(view.label_index.labels(candidates))
            cosines = view.indexes.answering.vectors(ids) @ query
            order = np.argsort(-cosines, kind="stable")[:k]
            neighbors += _neighbors(view, cosines[order][None], ids[order][None])
            await asyncio.sleep(0)  # labels may have many examples each
        return view.label_index.rows(view.classifier, numbers), neighbors

    async def _labels_of_nearest(
        self, view: CollectionView, queries: Array, k: int
    ) -> tuple[Rows, list[list[Neighbor]]]:
        """Returns the labels of the nearest examples as candidates, until the label index is built."""
        neighbors = await self.search(view, view.indexes.answering, queries, CANDIDATES)
        rows = np.full((len(queries), CANDIDATES), -1, np.intp)
        for place, nearest in enumerate(neighbors):
            for column, label in enumerate(dict.fromkeys(neighbor.label_id for neighbor in nearest)):
                row = view.classifier.lda.moments.row(label)
                rows[place, column] = -1 if row is None else row
        return rows, [nearest[:k] for nearest in neighbors]


def _merge(k: int, *results: Sequence[Sequence[Neighbor]]) -> list[list[Neighbor]]:
    """Merges the results of several indexes, `(n,)` lists each, into the k nearest of each query."""
    return [
        sorted((neighbor for part in parts for neighbor in part), key=lambda neighbor: -neighbor.similarity)[:k]
        for parts in zip(*results, strict=True)
    ]


def _neighbors(view: CollectionView, similarities: Array, ids: Ids) -> list[list[Neighbor]]:
    """Returns an index's result, `(n, k)` each, as neighbours.

    Leaves out examples that were deleted during a search in a thread, and -1, which fills short rows.
    """
    return [
        [Neighbor(*example, cosine) for example, cosine in zip(row, cosines, strict=True) if example]
        for row, cosines in zip(view.examples.examples(ids), similarities.tolist(), strict=True)
    ]


def _nearest_similarity(neighbors: Sequence[Sequence[Neighbor]]) -> "np.typing.NDArray[np.float64]":
    return np.array([nearest[0].similarity if nearest else -1.0 for nearest in neighbors], np.float64)
