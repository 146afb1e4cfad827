"""What collections answered: decisions, and how near queries were to examples, beside how near these are together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from weakref import ReferenceType, ref

import numpy as np

from glimpse.fewshot import Decision
from glimpse.fewshot.statistics.unit_vectors import Floats
from glimpse.server.collections.collection import CollectionView

# Collections told of one by one; those that come later count together.
_MOST = 200
# The mean similarity of queries is of about so many last ones; it is told from so many on, of so many examples.
_WINDOW, _FEWEST_QUERIES, _FEWEST_EXAMPLES = 1_000, 50, 10
# Examples that are copies of one another all but do not differ: by less nothing has drifted.
_LEAST_SPREAD = 0.01


@dataclass(slots=True)
class Tally:
    """Of one collection, or of several."""

    decisions: dict[Decision, int] = field(default_factory=lambda: dict.fromkeys(Decision, 0))
    #: Queries in the mean, and their mean cosine to the nearest example.
    queries: int = 0
    similarity: float = 0.0

    def add(self, decisions: Iterable[Decision], nearest: Floats) -> None:
        """Several queries; `nearest`: their cosines to the nearest example, (n,), -1 where there is none."""
        for decision in decisions:
            self.decisions[decision] += 1
        near = nearest[nearest > -1]
        if len(near):
            # A mean at first; later one that forgets, a thousandth of itself for each query.
            self.queries = min(self.queries + len(near), max(_WINDOW, len(near)))
            self.similarity += (float(near.sum()) - len(near) * self.similarity) / self.queries


@dataclass(frozen=True, slots=True)
class Similarity:
    """Mean cosines to the nearest example: of late queries, and of the examples, each left out, with their spread."""

    queries: float
    examples: float
    spread: float

    @property
    def drift(self) -> float:
        """How much farther queries lie than examples do, in units of the latter's spread."""
        return (self.examples - self.queries) / max(self.spread, _LEAST_SPREAD)


class QueryStats:
    """The tallies of collections. Noted in the event loop's thread, read in any."""

    def __init__(self) -> None:
        self.total, self.others = Tally(), Tally()
        self._of: dict[str, tuple[ReferenceType[CollectionView], Tally]] = {}

    def add(self, view: CollectionView, decisions: Iterable[Decision], nearest: Floats) -> None:
        """What a collection said of queries."""
        decisions = list(decisions)
        self._tally(view).add(decisions, nearest)
        self.total.add(decisions, nearest)

    def __iter__(self) -> Iterator[tuple[CollectionView, Tally]]:
        """The collections told of one by one; some may have been deleted."""
        for known, tally in list(self._of.values()):
            if (view := known()) is not None:
                yield view, tally

    def _tally(self, view: CollectionView) -> Tally:
        known = self._of.get(view.record.id)
        if known and known[0]() is view:
            return known[1]
        if len(self._of) >= _MOST:
            self._of = {name: one for name, one in self._of.items() if one[0]() is not None}
        if len(self._of) >= _MOST and view.record.id not in self._of:
            return self.others
        self._of[view.record.id] = ref(view), (tally := Tally())
        return tally


def similarity(view: CollectionView, tally: Tally) -> Similarity | None:
    """Of a collection that was fitted and asked often enough to tell; else None."""
    fitted = view.classifier.fitted
    if fitted is None or len(fitted.nearest) < _FEWEST_EXAMPLES or tally.queries < _FEWEST_QUERIES:
        return None
    return Similarity(tally.similarity, float(np.mean(fitted.nearest)), float(np.std(fitted.nearest)))
