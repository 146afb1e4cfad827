"""Compares examples with a collection before they are enrolled: near duplicates, conflicts and outliers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.ledger import ExampleRecord
from glimpse.server.classification.neighbors import Neighbor, NeighborSearch
from glimpse.server.collections.collection import CollectionView

#: The least cosine of near duplicates, and the most of them that are reported for an example.
MIN_COSINE, MAX_REPORTED = 0.98, 5
# The most work of a comparison, some tenths of a second: multiply-adds, or, with very many labels, searches × labels.
# A call with more examples than that is not compared with the collection.
_MAX_PRODUCTS, _MAX_SEARCHES = 4e9, 8e6
# An outlier is farther from its label than this share of the examples; with fewer examples there are no outliers.
_ORDINARY, _MIN_EXAMPLES = 0.99, 20


@dataclass(frozen=True, slots=True)
class SimilarityFinding:
    """The result for one example: its near duplicates under any label, nearest first, and whether it is an outlier."""

    near: Sequence[Neighbor] = ()
    outlier: bool = False

    def select(self, label_id: str, *, same: bool, without: set[str]) -> list[Neighbor]:
        """Returns the nearest ones with the same label, or with others.

        Args:
            label_id: The example's label.
            same: Whether to return those with this label.
            without: Ids of examples to leave out.
        """
        neighbors = [
            neighbor
            for neighbor in self.near
            if (neighbor.label_id == label_id) == same and neighbor.example_id not in without
        ]
        return neighbors[:MAX_REPORTED]


async def find_similar(
    neighbors: NeighborSearch, view: CollectionView, examples: Sequence[ExampleRecord]
) -> list[SimilarityFinding]:
    """Compares each example with those in the collection and with the earlier ones of the same call."""
    if not examples:
        return []
    vectors = np.frombuffer(b"".join(example.vector for example in examples), "<f4").reshape(len(examples), -1)
    existing = await _find_existing(neighbors, view, vectors)
    earlier = _find_earlier(examples, vectors)
    domains = [example.domain for example in examples]
    limit = _outlier_distance(view)
    adapted = view.classifier.adapt(vectors, domains)
    return [
        SimilarityFinding(
            sorted(
                (*(each for each in near if each.similarity >= MIN_COSINE), *near_earlier),
                key=lambda neighbor: -neighbor.similarity,
            ),
            limit is not None and view.classifier.lda.own_distance(example.label_id, vector) > limit,
        )
        for example, vector, near, near_earlier in zip(examples, adapted, existing, earlier, strict=True)
    ]


async def _find_existing(
    neighbors: NeighborSearch, view: CollectionView, vectors: Array
) -> Sequence[Sequence[Neighbor]]:
    """Returns the nearest examples of the collection for each vector; none if the search would take too long."""
    count = 2 * MAX_REPORTED + 1
    if view.label_index.index is not None and not view.classifier.lda.dense:
        if len(vectors) * len(view.classifier.labels) <= _MAX_SEARCHES:
            return (await neighbors.find_neighborhood(view, vectors, count)).neighbors
    elif vectors.size * view.indexes.answering.scanned <= _MAX_PRODUCTS:
        return await neighbors.search_all(view, vectors, count)
    return [[] for _ in vectors]


def _find_earlier(examples: Sequence[ExampleRecord], vectors: Array) -> list[list[Neighbor]]:
    """Returns for each example the earlier ones of the call that are similar and have other content."""
    neighbors: list[list[Neighbor]] = [[] for _ in examples]
    for later, earlier in np.argwhere(np.tril(vectors @ vectors.T, -1) >= MIN_COSINE).tolist():
        example = examples[earlier]
        if example.content_digest != examples[later].content_digest:
            similarity = float(vectors[earlier] @ vectors[later])
            neighbors[later].append(Neighbor(example.id, example.label_id, similarity))
    return neighbors


def _outlier_distance(view: CollectionView) -> float | None:
    """Returns the distance from the label that 1 % of the fitted examples exceed; None if it is not known."""
    fitted = view.classifier.fitted
    if fitted is None or not view.classifier.lda.metric.freedom or len(fitted.own_distances) < _MIN_EXAMPLES:
        return None
    return float(np.quantile(fitted.own_distances, _ORDINARY, method="higher"))
