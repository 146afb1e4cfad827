"""What the closed-form heads need to know of the examples: counts, sums and the second moment; and of the text.

All of it adds up, so that an example taken out leaves what would be there had it never come (to float64's rounding).
A label's text counts as two examples of it, wherever a label's centre is asked for: a text among texts. (Where the
examples are images, texts are moved by the gap between the two kinds first: `gap`.) With MiniLM, at 1, 4 and 16
shots, LDA on such centres gets 69.6, 78.4 and 85.5 % of banking77 right, where text alone gets 62.2 and examples
alone 51.7, 76.1 and 85.6; TREC's six classes 54.1, 58.3 and 68.1 (51.5; 40.2, 53.2, 67.1); spam 75.9, 85.6, 90.9
(69.7; 71.4, 85.4, 91.2; balanced).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

TEXT_SHOTS = 2.0
#: Sums of more labels than these are float32: of labels with one example each, which is what so many are, still exact.
MOST_EXACT = 10_000
_ROWS = "_counts", "_text_shots", "_sums"


@dataclass(slots=True)
class Moments:
    """Counts (C,), sums (C, d) and second moment X^T X (d, d) of unit vectors. Not thread-safe."""

    dimension: int
    #: Without the second moment they cost O(d) an example, and tell no scatter.
    with_second: bool = True
    #: The labels with examples or text, in the order of the rows.
    labels: list[str] = field(default_factory=list)
    second: Floats = field(init=False)
    #: What is added to texts: from the middle of the texts to that of the examples, (d,).
    gap: Floats = field(init=False)
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
        """Examples a label, (C,)."""
        return self._counts[: len(self.labels)]

    @property
    def shots(self) -> Floats:
        """Examples a label with its text, (C,): more than 0."""
        return self.counts + self._text_shots[: len(self.labels)]

    @property
    def centres(self) -> Floats:
        """Means of examples and text, (C, d); not of length 1."""
        sums = self._sums[: len(self.labels)].copy()
        for label, text in self._texts.items():
            sums[self._row[label]] += TEXT_SHOTS * (text + self.gap)
        return np.asarray(sums / self.shots[:, None], np.float64)

    def centre(self, row: int) -> Floats:
        """One label's, (d,)."""
        text = self._texts.get(self.labels[row])
        if text is None:
            return self.mean(row)
        return np.asarray(
            (self._sums[row] + TEXT_SHOTS * (text + self.gap)) / (self._counts[row] + TEXT_SHOTS), np.float64
        )

    def centres_of(self, rows: Rows) -> Floats:
        """Some labels', whose rows are (...): (..., d)."""
        sums = np.asarray(self._sums[rows], np.float64)
        for place in np.argwhere(self._text_shots[rows] > 0):
            at = tuple(place)
            sums[at] += TEXT_SHOTS * (self._texts[self.labels[rows[at]]] + self.gap)
        return np.asarray(sums / self.shots[rows][..., None], np.float64)

    @property
    def texts(self) -> dict[str, Floats]:
        """Directions of the labels that have text, as they were given."""
        return self._texts

    def noise(self, examples: float, text: float) -> Floats:
        """Expected squared distances of centres from the true means, (C,).

        `examples`: of an example from its label's true mean; `text`: of a text.
        """
        texts = self._text_shots[: len(self.labels)]
        return np.asarray((self.counts * examples + texts**2 * text) / self.shots**2, np.float64)

    def find_gap(self) -> Floats:
        """From the mean of the texts to that of the labels' means, (d,): over labels with both where any has."""
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
        """Means of the examples alone, (C, d); 0 where there is none."""
        return np.asarray(self._sums[: len(self.labels)] / np.maximum(self.counts, 1.0)[:, None], np.float64)

    def mean(self, row: int) -> Floats:
        """One label's, (d,)."""
        return np.asarray(self._sums[row] / max(self._counts[row], 1.0), np.float64)

    @property
    def freedom(self) -> int:
        """Degrees of freedom within labels: N - C, of the labels with examples."""
        return int(self.counts.sum() - (self.counts > 0).sum())

    def scatter(self) -> Floats:
        """Pooled scatter of the examples within labels, sum of (x - mu_y)(x - mu_y)^T: (d, d)."""
        return self.second - self.means.T @ self._sums[: len(self.labels)]

    def drop_second_moment(self) -> None:
        """Goes on without the second moment: the scatter has been taken."""
        self.with_second, self.second = False, np.zeros((0, 0))

    def pooled(self) -> "Moments":
        """The same examples as those of one label."""
        one = Moments(self.dimension)
        if self.counts.any():
            one.labels, one._row = [""], {"": 0}
            one._counts[0], one._sums[0] = self.counts.sum(), self._sums[: len(self.labels)].sum(0)
            one.second = self.second
        return one

    def row(self, label: str) -> int | None:
        """The label's row, or None where it has neither example nor text."""
        return self._row.get(label)

    def place(self, label: str) -> int:
        """The row of a label that has one. Raises KeyError."""
        return self._row[label]

    def set_text(self, label: str, direction: npt.ArrayLike | None) -> None:
        """Gives a label the direction, (d,), of its prompts, or takes it away."""
        if direction is not None:
            row = self._row_for(label)  # which may make the arrays anew
            self._text_shots[row] = TEXT_SHOTS
            self._texts[label] = np.asarray(direction, np.float64)
        elif self._texts.pop(label, None) is not None:
            row = self._row[label]
            self._text_shots[row] = 0.0
            if not self._counts[row]:
                self._drop(label, row)

    def add(self, label: str, vector: npt.ArrayLike) -> None:
        """Counts one more example, (d,)."""
        self.add_all([label], np.atleast_2d(np.asarray(vector, np.float64)))

    def add_all(self, labels: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Counts examples, (n, d)."""
        values = np.asarray(vectors, np.float64)
        rows = np.array([self._row_for(label) for label in labels], np.intp)
        np.add.at(self._counts, rows, 1.0)
        np.add.at(self._sums, rows, values)
        if self.with_second:
            self.second += values.T @ values

    def add_sums(self, labels: Sequence[str], counts: Floats, sums: Floats) -> None:
        """Counts many examples at once, by how many each label has, (C,), and their sums, (C, d).

        Without the second moment alone.
        """
        rows = np.array([self._row_for(label) for label in labels], np.intp)
        self._counts[rows] += counts
        self._sums[rows] += sums

    def remove(self, label: str, vector: npt.ArrayLike) -> None:
        """Takes an added example back. Raises KeyError where the label has none."""
        value, row = np.asarray(vector, np.float64), self._row[label]
        if not self._counts[row]:
            raise KeyError(label)
        self._counts[row] -= 1
        self._sums[row] -= value
        if self.with_second:
            self.second -= np.outer(value, value)
        if not self._counts[row]:
            self._sums[row] = 0.0  # no rounding stays behind
            if label not in self._texts:
                self._drop(label, row)

    def drop(self, label: str) -> None:
        """Forgets a label, if it is there: its text and, but for the second moment, its examples."""
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
        # The last row takes the free place, so the rows stay one dense block.
        last, end = self.labels.pop(), len(self.labels)
        del self._row[label]
        if last != label:
            self.labels[row], self._row[last] = last, row
        for name in _ROWS:
            values = getattr(self, name)
            values[row] = values[end]
            values[end] = 0.0
