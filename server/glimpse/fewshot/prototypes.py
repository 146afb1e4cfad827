"""One prototype a label: the mean direction of its examples, or of its prompts while it has none.

The score is the cosine of query and prototype: nearest class mean (Mensink et al. 2013; with one example, 1-NN)
and, for prompts, CLIP's zero-shot classifier (Radford et al. 2021). Updated per example in O(d).
"""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.vectors import Array

# Sums are kept in fixed point, so that adding is exact in any order and removing an example takes its effect
# back to the last bit. 2^40 steps to 1: far finer than float32, and a label overflows only past 8 million examples.
_ONE = float(1 << 40)


class HeadKind(Enum):
    """What the prototypes that answered are made of."""

    NONE = "none"
    CLASS_MEAN = "class_mean"
    PROMPTS = "prompts"
    CLASS_MEAN_AND_PROMPTS = "class_mean_and_prompts"


@dataclass(slots=True)
class _Label:
    sum: npt.NDArray[np.int64]
    count: int = 0
    prompts: Array | None = None


@dataclass(slots=True)
class PrototypeHead:
    """Scores by cosine to each label's prototype. Not thread-safe: one thread updates and asks."""

    dimension: int
    #: The labels that can score, in the order of the columns of `scores`.
    labels: list[str] = field(default_factory=list)
    _state: dict[str, _Label] = field(default_factory=dict)
    _column: dict[str, int] = field(default_factory=dict)
    _rows: Array = field(init=False)
    _with_examples: int = 0

    def __post_init__(self) -> None:
        self._rows = np.zeros((8, self.dimension), np.float32)

    def add(self, label: str, vector: Array) -> None:
        """Counts one more example, (d,), of a label."""
        self._shift(label, vector, +1)

    def remove(self, label: str, vector: Array) -> None:
        """Takes an added example back exactly."""
        self._shift(label, vector, -1)

    def set_prompts(self, label: str, vector: Array | None) -> None:
        """Gives a label the direction, (d,), of its prompts, or None."""
        self._label(label).prompts = vector
        self._refresh(label)

    def drop(self, label: str) -> None:
        """Forgets a label."""
        if (state := self._state.pop(label, None)) is not None:
            self._with_examples -= state.count > 0
            self._set_prototype(label, None)

    def scores(self, queries: Array) -> Array:
        """Cosines, (n, d) → (n, C), columns as `labels`."""
        return queries @ self._rows[: len(self.labels)].T

    @property
    def kind(self) -> HeadKind:
        """What the prototypes are made of now."""
        if not self.labels:
            return HeadKind.NONE
        if not self._with_examples:
            return HeadKind.PROMPTS
        everywhere = self._with_examples == len(self.labels)
        return HeadKind.CLASS_MEAN if everywhere else HeadKind.CLASS_MEAN_AND_PROMPTS

    def count(self, label: str) -> int:
        """How many examples a label has."""
        state = self._state.get(label)
        return state.count if state else 0

    def answers(self, label: str) -> bool:
        """Whether a label can score."""
        return label in self._column

    def _label(self, label: str) -> _Label:
        return self._state.setdefault(label, _Label(np.zeros(self.dimension, np.int64)))

    def _shift(self, label: str, vector: Array, sign: int) -> None:
        state = self._label(label)
        before = state.count > 0
        state.sum += sign * np.rint(vector.astype(np.float64) * _ONE).astype(np.int64)
        state.count += sign
        self._with_examples += (state.count > 0) - before
        self._refresh(label)

    def _refresh(self, label: str) -> None:
        state = self._state[label]
        if state.count == 0:
            self._set_prototype(label, state.prompts)
            return
        mean = state.sum / (_ONE * state.count)
        length = np.linalg.norm(mean)
        # Opposite examples can cancel out: such a label has no direction, and scores 0 against everything.
        self._set_prototype(label, np.asarray(mean / length if length > 0 else mean, np.float32))

    def _set_prototype(self, label: str, prototype: Array | None) -> None:
        column = self._column.get(label)
        if prototype is None:
            if column is not None:
                self._remove_column(label, column)
            return
        if column is None:
            column = self._column[label] = len(self.labels)
            self.labels.append(label)
            if column == len(self._rows):
                self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[column] = prototype

    def _remove_column(self, label: str, column: int) -> None:
        # The last column takes the free place, so the rows stay one dense block.
        last = self.labels.pop()
        del self._column[label]
        if last != label:
            self.labels[column] = last
            self._column[last] = column
            self._rows[column] = self._rows[len(self.labels)]
