"""Keeps the likeliest labels of examples that were left out, from which prediction sets of any coverage follow."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.decision import softmax, top_columns
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Mask, Rows

#: The most labels of a prediction set that are known; of a larger set, one more is kept.
MOST = 64


@dataclass(frozen=True, slots=True)
class LikeliestLabels:
    """The likeliest labels of n examples, each left out: columns and probabilities, `(n, k)`, best first."""

    columns: Rows
    probabilities: Floats

    @classmethod
    def of(cls, left_out: Array | Floats, temperature: float) -> Self:
        """Selects them from the scores of the examples left out, `(n, C)`, and their temperature."""
        columns = top_columns(np.asarray(left_out), MOST + 1)
        return cls(columns, np.take_along_axis(softmax(left_out, 1 / temperature), columns, axis=1))

    def members(self, floor: float | None, coverage: float) -> Mask:
        """Returns which labels are in the prediction set, `(n, k)`, as new inputs have it (see `set_members`)."""
        before = np.cumsum(self.probabilities, axis=1) - self.probabilities
        by_coverage: Mask = before < coverage - 1e-9
        if floor is None:
            return by_coverage
        reached = self.probabilities >= floor
        return np.where(reached.any(1, keepdims=True), reached, by_coverage)
