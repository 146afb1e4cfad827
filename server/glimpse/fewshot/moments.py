"""What the closed-form heads need to know of the examples: counts, sums and the second moment.

All of it adds up, so that an example taken out leaves what would be there had it never come (to float64's rounding).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Moments:
    """Counts (C,), sums (C, d) and second moment X^T X (d, d) of unit vectors. Not thread-safe."""

    dimension: int
    #: The labels with examples, in the order of the rows.
    labels: list[str] = field(default_factory=list)
    second: Floats = field(init=False)
    _counts: Floats = field(init=False)
    _sums: Floats = field(init=False)
    _row: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.second = np.zeros((self.dimension, self.dimension))
        self._counts, self._sums = np.zeros(8), np.zeros((8, self.dimension))

    @property
    def counts(self) -> Floats:
        """Examples a label, (C,)."""
        return self._counts[: len(self.labels)]

    @property
    def means(self) -> Floats:
        """Their means, (C, d); not of length 1."""
        return self._sums[: len(self.labels)] / self.counts[:, None]

    def mean(self, row: int) -> Floats:
        """One label's, (d,)."""
        return np.asarray(self._sums[row] / self._counts[row], np.float64)

    @property
    def freedom(self) -> int:
        """Degrees of freedom within labels: N - C."""
        return int(self.counts.sum()) - len(self.labels)

    def scatter(self) -> Floats:
        """Pooled scatter within labels, sum of (x - mu_y)(x - mu_y)^T: (d, d)."""
        sums = self._sums[: len(self.labels)]
        return self.second - (sums / self.counts[:, None]).T @ sums

    def pooled(self) -> "Moments":
        """The same examples as those of one label."""
        one = Moments(self.dimension)
        if self.labels:
            one.labels, one._row = [""], {"": 0}
            one._counts[0], one._sums[0] = self.counts.sum(), self._sums[: len(self.labels)].sum(0)
            one.second = self.second
        return one

    def row(self, label: str) -> int | None:
        """The label's row, or None where it has no example."""
        return self._row.get(label)

    def add(self, label: str, vector: npt.ArrayLike) -> None:
        """Counts one more example, (d,)."""
        self.add_all([label], np.atleast_2d(np.asarray(vector, np.float64)))

    def add_all(self, labels: list[str], vectors: npt.ArrayLike) -> None:
        """Counts examples, (n, d)."""
        values = np.asarray(vectors, np.float64)
        rows = np.array([self._row_for(label) for label in labels], np.intp)
        np.add.at(self._counts, rows, 1.0)
        np.add.at(self._sums, rows, values)
        self.second += values.T @ values

    def remove(self, label: str, vector: npt.ArrayLike) -> None:
        """Takes an added example back."""
        value, row = np.asarray(vector, np.float64), self._row[label]
        self._counts[row] -= 1
        self._sums[row] -= value
        self.second -= np.outer(value, value)
        if not self._counts[row]:
            self._drop(label, row)

    def _row_for(self, label: str) -> int:
        row = self._row.get(label)
        if row is None:
            row = self._row[label] = len(self.labels)
            self.labels.append(label)
            if row == len(self._counts):
                self._counts = np.concatenate([self._counts, np.zeros_like(self._counts)])
                self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        return row

    def _drop(self, label: str, row: int) -> None:
        # The last row takes the free place, so the rows stay one dense block.
        last, end = self.labels.pop(), len(self.labels)
        del self._row[label]
        if last != label:
            self.labels[row], self._row[last] = last, row
            self._counts[row], self._sums[row] = self._counts[end], self._sums[end]
        self._counts[end], self._sums[end] = 0.0, 0.0
