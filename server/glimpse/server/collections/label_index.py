"""An approximate index of labels, for collections with more labels than a head can score for every input.

Up to 10,000 labels, a head scores all of them. Above that, this index finds candidates by the directions of the labels,
and the head scores the candidates only. The index is built in the background, then updated label by label.
"""

import asyncio
from collections.abc import Sequence

import numpy as np

from glimpse.fewshot import FewShotClassifier
from glimpse.fewshot.statistics.unit_vectors import Array, Rows
from glimpse.index import CandidateIndex, Device, Ids
from glimpse.server.scheduling.background import run_in_background

#: The number of labels that the head scores for each input.
CANDIDATES = 256
# Directions copied from the classifier before other calls may run.
_SLICE = 10_000


class LabelIndex:
    """Finds candidate labels. Use it in the event loop's thread only, except for searches of `index`."""

    def __init__(self) -> None:
        #: Where the next build copies the index to if it is large enough; None: nowhere.
        self.device: Device | None = None
        self._index: CandidateIndex | None = None
        # The index knows a label by a number that never changes, unlike its row in the classifier.
        self._numbers: dict[str, int] = {}
        self._labels: dict[int, str] = {}
        self._next = 0
        # Labels changed during a build; None outside of one.
        self._changed: set[str] | None = None

    def needs_build(self, classifier: FewShotClassifier) -> bool:
        """Returns whether the index is missing where it is needed, or has changed so much that it needs a rebuild."""
        return not classifier.lda.dense and (self._index is None or self._index.due)

    @property
    def index(self) -> CandidateIndex | None:
        """The index of candidates; None until it is built."""
        return self._index

    def put(self, classifier: FewShotClassifier, labels: Sequence[str]) -> None:
        """Updates labels whose directions are new or have changed; removes those that can no longer be an answer."""
        if self._changed is not None:
            self._changed.update(labels)
        if self._index is None:
            return
        present = [label for label in dict.fromkeys(labels) if classifier.can_score(label)]
        if present:
            self._index.put(self._assign_numbers(present), _directions(classifier, present))
        for label in set(labels).difference(present):
            self.remove(label)

    def remove(self, label: str) -> None:
        """Removes a label."""
        if self._changed is not None:
            self._changed.add(label)
        if (number := self._numbers.pop(label, None)) is not None:
            del self._labels[number]
            if self._index is not None:
                self._index.remove(np.array([number], np.int64))

    async def build(self, classifier: FewShotClassifier) -> None:
        """Trains and fills the index in a thread, then applies what has changed during that time."""
        self._changed, labels, parts = set(), list(classifier.labels), []
        for start in range(0, len(labels), _SLICE):
            present = [label for label in labels[start : start + _SLICE] if classifier.can_score(label)]
            parts.append((self._assign_numbers(present), _directions(classifier, present)))
            await asyncio.sleep(0)
        ids, vectors = (np.concatenate(list(arrays)) for arrays in zip(*parts, strict=True))
        try:
            self._index = index = await run_in_background(lambda: CandidateIndex.build(ids, vectors, self.device))
        finally:
            changed, self._changed = self._changed, None
        self.put(classifier, [*changed, *(label for label in classifier.labels if label not in self._numbers)])
        if removed := [number for label, number in self._numbers.items() if not classifier.can_score(label)]:
            index.remove(np.array(removed, np.int64))

    def labels(self, numbers: Ids) -> list[str]:
        """Returns the labels that the index found, `(k,)`, without those removed since."""
        return [self._labels[number] for number in numbers.tolist() if number in self._labels]

    def rows(self, classifier: FewShotClassifier, numbers: Ids) -> Rows:
        """Returns the labels that the index found, `(n, k)`, as rows of the classifier; -1 for those removed since."""
        rows = [[self._row(classifier, number) for number in candidates] for candidates in numbers.tolist()]
        return np.array(rows, np.intp).reshape(numbers.shape)

    def _row(self, classifier: FewShotClassifier, number: int) -> int:
        label = self._labels.get(number)
        row = None if label is None else classifier.lda.moments.row(label)
        return -1 if row is None else row

    def _assign_numbers(self, labels: Sequence[str]) -> Ids:
        for label in labels:
            if label not in self._numbers:
                self._numbers[label], self._labels[self._next] = self._next, label
                self._next += 1
        return np.array([self._numbers[label] for label in labels], np.int64)


def _directions(classifier: FewShotClassifier, labels: Sequence[str]) -> Array:
    moments = classifier.lda.moments
    return classifier.mean.directions(np.array([moments.row(label) for label in labels], np.intp))
