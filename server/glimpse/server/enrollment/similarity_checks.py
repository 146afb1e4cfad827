"""What an enrolment finds out about its examples: which are there all but the same, and which look out of place."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.ledger import ExampleRecord
from glimpse.server.classification.neighbors import Neighbor, NeighborSearch
from glimpse.server.collections.collection import CollectionView

#: The cosine from which on two inputs are all but the same, and how many of them are told.
NEAR, TOLD = 0.98, 5
# What looking may take, in multiply-adds or, of very many labels, in searches times labels: some tenths of a second. Of
# so many examples at once that it takes more, nothing is told.
_MOST_LOOKING, _MOST_SEARCHES = 4e9, 8e6
# An outlier lies farther from its label than this part of so many examples at least.
_ORDINARY, _FEWEST = 0.99, 20


@dataclass(frozen=True, slots=True)
class SimilarityFinding:
    """Of one example: others that are all but the same, nearest first; and whether it lies far from its label."""

    near: Sequence[Neighbor] = ()
    outlier: bool = False

    def among(self, label_id: str, *, same: bool, but: set[str]) -> list[Neighbor]:
        """The nearest under the same label, or under others, but for some examples."""
        found = [one for one in self.near if (one.label_id == label_id) == same and one.example_id not in but]
        return found[:TOLD]


async def find_similar(
    neighbors: NeighborSearch, view: CollectionView, examples: Sequence[ExampleRecord]
) -> list[SimilarityFinding]:
    """Before they are enrolled: beside what is there, and beside those before them."""
    if not examples:
        return []
    vectors = np.frombuffer(b"".join(example.vector for example in examples), "<f4").reshape(len(examples), -1)
    there: Sequence[Sequence[Neighbor]] = [[] for _ in examples]
    if view.gallery.index is not None and not view.engine.lda.dense:
        if len(examples) * len(view.engine.labels) <= _MOST_SEARCHES:
            there = (await neighbors.find_neighborhood(view, vectors, 2 * TOLD + 1)).neighbors
    elif vectors.size * view.indexes.answering.scanned <= _MOST_LOOKING:
        there = await neighbors.search_all(view, vectors, 2 * TOLD + 1)
    together = _beside_one_another(examples, vectors)
    seen = view.engine.adapt(vectors, [example.domain for example in examples])
    limit = _limit(view)
    return [
        SimilarityFinding(
            sorted(
                (*(other for other in near if other.similarity >= NEAR), *earlier), key=lambda other: -other.similarity
            ),
            limit is not None and view.engine.lda.own_distance(example.label_id, one) > limit,
        )
        for example, one, near, earlier in zip(examples, seen, there, together, strict=True)
    ]


def _beside_one_another(examples: Sequence[ExampleRecord], vectors: Array) -> list[list[Neighbor]]:
    """Of each, those before it of other content."""
    found: list[list[Neighbor]] = [[] for _ in examples]
    for later, earlier in np.argwhere(np.tril(vectors @ vectors.T, -1) >= NEAR).tolist():
        one = examples[earlier]
        if one.content_digest != examples[later].content_digest:
            found[later].append(Neighbor(one.id, one.label_id, float(vectors[earlier] @ vectors[later])))
    return found


def _limit(view: CollectionView) -> float | None:
    """The distance that few examples lie from their labels."""
    fitted = view.engine.fitted
    if fitted is None or not view.engine.lda.metric.freedom or len(fitted.own_distances) < _FEWEST:
        return None
    return float(np.quantile(fitted.own_distances, _ORDINARY, method="higher"))
