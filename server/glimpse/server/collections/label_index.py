"""The labels of a collection that has very many of them: the few that come into question for an input are found first.

Up to 10,000 labels a head scores them all. Beyond, an approximate index of the labels' directions names candidates,
and the head scores these. It is built in the background and kept up from then on, label by label.
"""

import asyncio
from collections.abc import Sequence

import numpy as np

from glimpse.fewshot import FewShotClassifier
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.index import CandidateIndex, Ids
from glimpse.server.scheduling.background import run_in_background

#: Labels that the head scores for each input.
CANDIDATES = 256
# Directions taken from the engine at a time, so that other calls come in between.
_SLICE = 10_000


class LabelIndex:
    """For the event loop's thread alone, but for `search`."""

    def __init__(self) -> None:
        self._index: CandidateIndex | None = None
        # The index knows labels by numbers that stay, as rows of the engine's do not.
        self._numbers: dict[str, int] = {}
        self._labels: dict[int, str] = {}
        self._next = 0
        self._since: set[str] | None = None

    def due(self, engine: FewShotClassifier) -> bool:
        """Whether it should be built, or built anew."""
        return not engine.lda.dense and (self._index is None or self._index.due)

    @property
    def index(self) -> CandidateIndex | None:
        """What finds candidates; None: not built yet."""
        return self._index

    def put(self, engine: FewShotClassifier, labels: Sequence[str]) -> None:
        """Some labels' directions have changed, or are new; or they are gone."""
        if self._since is not None:
            self._since.update(labels)
        if self._index is None:
            return
        there = [label for label in dict.fromkeys(labels) if engine.can_score(label)]
        if there:
            self._index.put(self._numbered(there), _directions(engine, there))
        for label in set(labels).difference(there):
            self.drop(label)

    def drop(self, label: str) -> None:
        """Forgets a label."""
        if self._since is not None:
            self._since.add(label)
        if (number := self._numbers.pop(label, None)) is not None:
            del self._labels[number]
            if self._index is not None:
                self._index.remove(np.array([number], np.int64))

    async def build(self, engine: FewShotClassifier) -> None:
        """Trains and fills the index in a thread, from the engine as it is."""
        self._since, labels, parts = set(), list(engine.labels), []
        for start in range(0, len(labels), _SLICE):
            some = [label for label in labels[start : start + _SLICE] if engine.can_score(label)]
            parts.append((self._numbered(some), _directions(engine, some)))
            await asyncio.sleep(0)
        ids, vectors = (np.concatenate(list(kind)) for kind in zip(*parts, strict=True))
        try:
            self._index = index = await run_in_background(lambda: CandidateIndex.build(ids, vectors))
        finally:
            since, self._since = self._since, None
        self.put(engine, [*since, *(label for label in engine.labels if label not in self._numbers)])
        if gone := [number for label, number in self._numbers.items() if not engine.can_score(label)]:
            index.remove(np.array(gone, np.int64))

    def labels(self, found: Ids) -> list[str]:
        """The labels that the index found, (k,), but for those that are gone."""
        return [self._labels[number] for number in found.tolist() if number in self._labels]

    def rows(self, engine: FewShotClassifier, found: Ids) -> Rows:
        """What the index found, (n, k), as rows of the engine's labels; -1 for those that are gone."""
        rows = [[self._row(engine, number) for number in several] for several in found.tolist()]
        return np.array(rows, np.intp).reshape(found.shape)

    def _row(self, engine: FewShotClassifier, number: int) -> int:
        label = self._labels.get(number)
        row = None if label is None else engine.lda.moments.row(label)
        return -1 if row is None else row

    def _numbered(self, labels: Sequence[str]) -> Ids:
        for label in labels:
            if label not in self._numbers:
                self._numbers[label], self._labels[self._next] = self._next, label
                self._next += 1
        return np.array([self._numbers[label] for label in labels], np.int64)


def _directions(engine: FewShotClassifier, labels: Sequence[str]) -> Array:
    moments = engine.lda.moments
    return engine.mean.directions(np.array([moments.row(label) for label in labels], np.intp))
