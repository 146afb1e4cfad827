"""Class statistics for the closed-form heads: counts, sums and the second moment of the examples, and the texts.

All of them are sums, so removing an example restores the statistics to float64 rounding. A label's text counts as
some examples in its centre: as two, until a fit finds another weight (calibration/text_weight.py). If the examples
are images, texts are first moved by the modality gap, the mean difference between image and text vectors (Liang et
al. 2022).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

#: The weight of a text, in examples, before a fit finds another.
TEXT_SHOTS = 2.0
#: With more labels than this, sums are float32: exact for labels with one example, as most then have.
MOST_EXACT = 10_000
_ROWS = "_counts", "_text_shots", "_sums"


@dataclass(slots=True)
class Moments:
    """Counts `(C,)`, sums `(C, d)` and the second moment X^T X `(d, d)` of unit vectors. Not thread-safe."""

    dimension: int
    #: Without the second moment an example costs O(d), and there is no scatter.
    with_second: bool = True
    #: The labels with an example or a text, in the order of the rows.
    labels: list[str] = field(default_factory=list)
    second: Floats = field(init=False)
    #: The modality gap, (d,): added to texts, from the mean of the texts to that of the examples.
    gap: Floats = field(init=False)
    #: How many examples a text counts as; `weigh_texts` sets it.
    text_weight: float = TEXT_SHOTS
    _counts: Floats = field(init=False)
    _sums: Floats = field(init=False)
    _text_shots: Floats = field(init=False)
    _texts: dict[str, Floats] = field(default_factory=dict)
    _row: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        side = self.dimension if self.with_second else 0
        self.second, self.gap = np.zeros((side, side)), np.zeros(self.dimension)
        self._counts, self._text_shots, self._sums = np.zeros(8), np.zeros(8), np.zeros((8, self.dimension))

    @property
    def counts(self) -> Floats:
        """The number of examples per label, `(C,)`."""
        return self._counts[: len(self.labels)]

    @property
    def shots(self) -> Floats:
        """The number of examples per label plus the weight of a text, `(C,)`: greater than 0."""
        return self.counts + self._text_shots[: len(self.labels)]

    @property
    def centres(self) -> Floats:
        """The means of examples and text, `(C, d)`; not of length 1."""
        sums = self._sums[: len(self.labels)].copy()
        for label, text in self._texts.items():
            sums[self._row[label]] += self.text_weight * (text + self.gap)
        return np.asarray(sums / self.shots[:, None], np.float64)

    def centre(self, row: int) -> Floats:
        """Returns the centre of one label, `(d,)`."""
        text = self._texts.get(self.labels[row])
        if text is None:
            return self.mean(row)
        return np.asarray(
            (self._sums[row] + self.text_weight * (text + self.gap)) / (self._counts[row] + self.text_weight),
            np.float64,
        )

    def centres_of(self, rows: Rows) -> Floats:
        """Returns the centres of labels by rows: `(...)` → `(..., d)`."""
        sums = np.asarray(self._sums[rows], np.float64)
        for place in np.argwhere(self._text_shots[rows] > 0):
            at = tuple(place)
            sums[at] += self.text_weight * (self._texts[self.labels[rows[at]]] + self.gap)
        return np.asarray(sums / self.shots[rows][..., None], np.float64)

    @property
    def texts(self) -> dict[str, Floats]:
        """The prompt directions by label, as they were set."""
        return self._texts

    def weigh_texts(self, weight: float) -> None:
        """Sets how many examples each text counts as, greater than 0."""
        self.text_weight = weight
        self._text_shots[self._text_shots > 0] = weight

    def find_gap(self) -> Floats:
        """Returns the difference from the mean of the texts to the mean of the labels' means, `(d,)`.

        It is taken over labels with both text and examples, or over all if no label has both.
        """
        rows = [self._row[label] for label in self._texts]
        both = [row for row in rows if self._counts[row]]
        if not rows or not self.counts.any():
            return np.zeros(self.dimension)
        if both:
            texts, means = [self._texts[self.labels[row]] for row in both], [self.mean(row) for row in both]
        else:
            texts, means = list(self._texts.values()), list(self.means[self.counts > 0])
        return np.asarray(np.mean(means, 0) - np.mean(texts, 0), np.float64)

    @property
    def means(self) -> Floats:
        """The means of the examples alone, `(C, d)`; 0 for a label without examples."""
        return np.asarray(self._sums[: len(self.labels)] / np.maximum(self.counts, 1.0)[:, None], np.float64)

    def mean(self, row: int) -> Floats:
        """Returns the mean of one label's examples, `(d,)`."""
        return np.asarray(self._sums[row] / max(self._counts[row], 1.0), np.float64)

    @property
    def freedom(self) -> int:
        """The degrees of freedom within labels: N minus the number of labels with examples."""
        return int(self.counts.sum() - (self.counts > 0).sum())

    def scatter(self) -> Floats:
        """Returns the pooled scatter within labels, the sum of (x - mu_y)(x - mu_y)^T: `(d, d)`."""
        return self.second - self.means.T @ self._sums[: len(self.labels)]

    def drop_second_moment(self) -> None:
        """Drops the second moment once the scatter has been computed."""
        self.with_second, self.second = False, np.zeros((0, 0))

    def pooled(self) -> "Moments":
        """Returns the statistics of the same examples as those of one label."""
        one = Moments(self.dimension)
        if self.counts.any():
            one.labels, one._row = [""], {"": 0}
            one._counts[0], one._sums[0] = self.counts.sum(), self._sums[: len(self.labels)].sum(0)
            one.second = self.second
        return one

    def row(self, label: str) -> int | None:
        """Returns the label's row, or None if it has neither example nor text."""
        return self._row.get(label)

    def place(self, label: str) -> int:
        """Returns the row of a label that has one. Raises KeyError."""
        return self._row[label]

    def set_text(self, label: str, direction: npt.ArrayLike | None) -> None:
        """Sets the direction of a label's prompts, `(d,)`, or removes it (None)."""
        if direction is not None:
            row = self._row_for(label)  # may reallocate the arrays
            self._text_shots[row] = self.text_weight
            self._texts[label] = np.asarray(direction, np.float64)
        elif self._texts.pop(label, None) is not None:
            row = self._row[label]
            self._text_shots[row] = 0.0
            if not self._counts[row]:
                self._drop(label, row)

    def add(self, label: str, vector: npt.ArrayLike) -> None:
        """Adds one example, `(d,)`."""
        self.add_all([label], np.atleast_2d(np.asarray(vector, np.float64)))

    def add_all(self, labels: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Adds examples, `(n, d)`."""
        values = np.asarray(vectors, np.float64)
        rows = np.array([self._row_for(label) for label in labels], np.intp)
        np.add.at(self._counts, rows, 1.0)
        np.add.at(self._sums, rows, values)
        if self.with_second:
            self.second += values.T @ values

    def add_sums(self, labels: Sequence[str], counts: Floats, sums: Floats) -> None:
        """Adds many examples at once, by counts `(C,)` and sums `(C, d)`. Only without the second moment."""
        rows = np.array([self._row_for(label) for label in labels], np.intp)
        self._counts[rows] += counts
        self._sums[rows] += sums

    def remove(self, label: str, vector: npt.ArrayLike) -> None:
        """Removes an example that was added before. Raises KeyError if the label has none."""
        value, row = np.asarray(vector, np.float64), self._row[label]
        if not self._counts[row]:
            raise KeyError(label)
        self._counts[row] -= 1
        self._sums[row] -= value
        if self.with_second:
            self.second -= np.outer(value, value)
        if not self._counts[row]:
            self._sums[row] = 0.0  # clear the rounding error
            if label not in self._texts:
                self._drop(label, row)

    def drop(self, label: str) -> None:
        """Removes a label with its text and examples, except from the second moment."""
        self._texts.pop(label, None)
        if (row := self._row.get(label)) is not None:
            self._drop(label, row)

    def _row_for(self, label: str) -> int:
        row = self._row.get(label)
        if row is None:
            row = self._row[label] = len(self.labels)
            self.labels.append(label)
            if row == len(self._counts):
                if row >= MOST_EXACT:
                    self._sums = self._sums.astype(np.float32)
                for name in _ROWS:
                    setattr(self, name, np.concatenate([getattr(self, name), np.zeros_like(getattr(self, name))]))
        return row

    def _drop(self, label: str, row: int) -> None:
        # The last row moves into the free row, so the rows stay one dense block.
        last, end = self.labels.pop(), len(self.labels)
        del self._row[label]
        if last != label:
            self.labels[row], self._row[last] = last, row
        for name in _ROWS:
            values = getattr(self, name)
            values[row] = values[end]
            values[end] = 0.0
