"""Labels that are composed of other labels: a giraffe is what is yellow and spotted.

    P(z | x) = prod P(a | x) over the parts a of z  *  prod (1 - P(b | x)) over the labels b that z must not have

This is direct attribute prediction (DAP; Lampert, Nickisch and Harmeling 2009 and 2014): a class without any example is
recognised by attributes that the examples of other things taught. DAP also divides by the prior of the attributes and
lets the classes compete, because exactly one of them is right. Composed labels are independent, so each keeps the
product as its probability. With 4 examples chosen for each attribute, 94.5 % of scenes of colours and shapes that never
occurred together are right among 20 composed labels (bench/results/attributes.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Self

import numpy as np

from glimpse.fewshot.decision import LIKELY
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

if TYPE_CHECKING:
    from glimpse.fewshot.types import Prediction


@dataclass(frozen=True, slots=True)
class Composition:
    """Names the labels that make up a composed label.

    Attributes:
        label: the composed label.
        parts: the labels that must hold, at least one.
        not_parts: the labels that must not hold.
    """

    label: str
    parts: Sequence[str]
    not_parts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ComposedLabels:
    """The K composed labels of a collection, ready to be answered.

    Attributes:
        labels: the composed labels.
        parts: the P labels that they are composed of, each once.
        factors: `(K, m)`, columns of `[p, 1 - p, 1]` to multiply, where p are the probabilities of `parts`.
    """

    labels: Sequence[str]
    parts: Sequence[str]
    factors: Rows

    @classmethod
    def of(cls, compositions: Sequence[Composition]) -> Self:
        """Prepares the compositions of a collection."""
        named = [(*each.parts, *each.not_parts) for each in compositions]
        place = {label: number for number, label in enumerate(dict.fromkeys(label for one in named for label in one))}
        factors = np.full((len(named), max(map(len, named))), 2 * len(place), np.intp)
        for row, each in enumerate(compositions):
            columns = [place[part] for part in each.parts] + [len(place) + place[part] for part in each.not_parts]
            factors[row, : len(columns)] = columns
        return cls([each.label for each in compositions], list(place), factors)

    def answer(self, parts: Floats) -> "ComposedAnswers":
        """Answers the composed labels whose parts can all score.

        Args:
            parts: `(n, P)`, the probabilities of the parts; NaN for one that cannot score.
        """
        columns = np.concatenate([parts, 1 - parts, np.ones((len(parts), 1))], axis=1)  # (n, 2 P + 1)
        result = columns[:, self.factors[:, 0]]
        for factor in self.factors.T[1:]:
            result *= columns[:, factor]
        known = np.flatnonzero(~np.isnan(result).any(0))
        return ComposedAnswers([self.labels[row] for row in known.tolist()], result[:, known])


@dataclass(frozen=True, slots=True)
class ComposedAnswers:
    """The answers of K composed labels to n queries.

    Attributes:
        labels: the composed labels.
        probabilities: `(n, K)`.
    """

    labels: Sequence[str]
    probabilities: Floats

    def held(self) -> Sequence[int]:
        """Returns how many of the composed labels hold for each query."""
        count: list[int] = (self.probabilities >= LIKELY).sum(1).tolist()
        return count

    def rank(self, predictions: Sequence["Prediction"], top_k: int) -> None:
        """Ranks the composed labels beside the others in the predictions, by probability.

        A composed label is never more probable than its parts. Where it is as probable, its part comes first, so the
        best label stays what it was.
        """
        best = (-self.probabilities).argsort(axis=1, kind="stable")[:, :top_k]
        values = np.take_along_axis(self.probabilities, best, 1).tolist()
        for prediction, columns, own in zip(predictions, best.tolist(), values, strict=True):
            if not prediction.labels:  # no label was a candidate
                continue
            plain = zip(prediction.labels, prediction.scores, prediction.probabilities, strict=True)
            composed = ((self.labels[column], value, value) for column, value in zip(columns, own, strict=True))
            ranked = sorted([*plain, *composed], key=itemgetter(2), reverse=True)[:top_k]
            prediction.labels, prediction.scores, prediction.probabilities = map(list, zip(*ranked, strict=True))
