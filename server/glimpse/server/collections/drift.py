"""Statistics of a collection's answers: decisions, and how far queries drift from the examples."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import ReferenceType, ref

import numpy as np

from glimpse.fewshot import Decision
from glimpse.fewshot.statistics.unit_vectors import Floats
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.decision_counts import PendingDecisions

# The most collections with a tally of their own; later ones share one.
_MAX_COLLECTIONS = 200
# The mean similarity covers about this many recent queries. It is reported from these numbers of queries and examples.
_WINDOW, _MIN_QUERIES, _MIN_EXAMPLES = 1_000, 50, 10
# Examples that are copies of each other differ very little: a smaller spread than this one is no measure of drift.
_MIN_SPREAD = 0.01


@dataclass(slots=True)
class Tally:
    """Counts the decisions on queries, and averages their similarity to the nearest example."""

    decisions: dict[Decision, int] = field(default_factory=lambda: dict.fromkeys(Decision, 0))
    #: The weight of the mean, in queries; and the mean cosine to the nearest example.
    queries: int = 0
    similarity: float = 0.0

    def add(self, decisions: Iterable[Decision], near: Sequence[float]) -> None:
        """Adds queries.

        Args:
            decisions: One for each query.
            near: The cosines to the nearest example, of the queries that have one.
        """
        for decision in decisions:
            self.decisions[decision] += 1
        if near:
            # A plain mean at first, then an exponential one: each query has a weight of 1/1000.
            self.queries = min(self.queries + len(near), max(_WINDOW, len(near)))
            self.similarity += (sum(near) - len(near) * self.similarity) / self.queries


@dataclass(frozen=True, slots=True)
class Similarity:
    """Mean cosines to the nearest example.

    Attributes:
        queries: The mean of recent queries.
        examples: The mean of the examples, each compared with the others.
        spread: The standard deviation of the examples' cosines.
    """

    queries: float
    examples: float
    spread: float

    @property
    def drift(self) -> float:
        """Distance of queries to the examples, minus that of the examples to each other, in units of `spread`."""
        return (self.examples - self.queries) / max(self.spread, _MIN_SPREAD)


class QueryStats:
    """The tallies of all collections. Written in the event loop's thread, read in any thread."""

    def __init__(self) -> None:
        #: The tally of all collections, and that of the collections without one of their own.
        self.total, self.others = Tally(), Tally()
        #: What is not in the ledger yet.
        self.pending: Final = PendingDecisions()
        self._tallies: dict[str, tuple[ReferenceType[CollectionView], Tally]] = {}

    def add(self, view: CollectionView, decisions: Iterable[Decision], nearest: Floats) -> None:
        """Adds a collection's queries.

        Args:
            view: The collection.
            decisions: One for each query.
            nearest: The queries' cosines to the nearest example, `(n,)`; -1 where there is none.
        """
        decisions, near = list(decisions), [cosine for cosine in nearest.tolist() if cosine > -1]
        self._tally(view).add(decisions, near)
        self.pending.add(view.record, decisions)
        self.total.add(decisions, near)

    def __iter__(self) -> Iterator[tuple[CollectionView, Tally]]:
        """Iterates over the collections with a tally of their own; some may have been deleted."""
        for reference, tally in list(self._tallies.values()):
            if (view := reference()) is not None:
                yield view, tally

    def _tally(self, view: CollectionView) -> Tally:
        known = self._tallies.get(view.record.id)
        if known and known[0]() is view:
            return known[1]
        if len(self._tallies) >= _MAX_COLLECTIONS:
            self._tallies = {name: entry for name, entry in self._tallies.items() if entry[0]() is not None}
        if len(self._tallies) >= _MAX_COLLECTIONS and view.record.id not in self._tallies:
            return self.others
        self._tallies[view.record.id] = ref(view), (tally := Tally())
        return tally


def similarity(view: CollectionView, tally: Tally) -> Similarity | None:
    """Returns a collection's similarities; None with fewer than 10 fitted examples or 50 queries.

    Examples that the backbone was trained on are nearer to each other than inputs are, so they show no drift.
    """
    fitted = view.classifier.fitted
    if fitted is None or view.adapted or len(fitted.nearest) < _MIN_EXAMPLES or tally.queries < _MIN_QUERIES:
        return None
    return Similarity(tally.similarity, float(np.mean(fitted.nearest)), float(np.std(fitted.nearest)))
