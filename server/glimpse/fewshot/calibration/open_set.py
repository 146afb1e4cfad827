"""How well an input fits among a collection's examples: a p-value against what the examples say of one another.

Three measures are added up, each in units of its spread over the examples: the relative Mahalanobis distance, to the
nearest label's mean less that to the mean of all (Ren et al. 2021); the cosine to the nearest example (Sun et al.
2022); and the logarithm of the greatest probability (Hendrycks and Gimpel 2017). Each example is measured with itself
left out. An input's p-value is the part of the examples that fit no better (Vovk et al. 2005), so that p < a rejects
a part a of what belongs here. In-sample measures would not do: for a target of 5 % they reject 8 to 99 %.

None of the three dominates. AUROC at 8 shots of caltech101 against its clutter, of two thirds of banking77's intents
against the others, of six hand signs against the other four: plain Mahalanobis distance 0.870, 0.779, 0.738; cosine
to the class mean 0.919, 0.792, 0.731; greatest probability 0.939, 0.794, 0.717; the sum 0.952, 0.840, 0.802.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.decision import softmax
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

# The part of known negatives that may be taken for a label, as long as no other is asked for.
_CEILING = 0.05
# Neighbours are sought for so many examples at once.
_CHUNK = 64


@dataclass(frozen=True, slots=True)
class Background:
    """All examples as one Gaussian, shrunk as LDA's is: what an input is like that is like none of the labels."""

    mean: Array
    precision: Array

    @classmethod
    def of(cls, pooled: Moments, metric: Metric) -> Self:
        """From the moments of the examples as those of one label."""
        return cls(pooled.mean(0).astype(np.float32), (metric.scale * metric.inverse).astype(np.float32))

    @classmethod
    def nowhere(cls, dimension: int) -> Self:
        """No distance from anything: distances to labels count as they are."""
        return cls(np.zeros(dimension, np.float32), np.zeros((dimension, dimension), np.float32))

    def distances(self, queries: Array) -> Floats:
        """Squared Mahalanobis distances to the mean of all: (n, d) → (n,)."""
        gaps = queries - self.mean
        return np.asarray(np.einsum("nd,nd->n", gaps @ self.precision, gaps, dtype=np.float64), np.float64)


def fit_measures(
    distances: Floats, background: Floats, nearest: Floats, scores: Array | Floats, temperature: float
) -> Floats:
    """The three measures, greater for what fits: (n,) three times and scores, (n, C) → (n, 3)."""
    likely = np.log(softmax(scores, 1 / temperature).max(1))
    return np.stack([background - distances, nearest, likely], axis=1)


@dataclass(frozen=True, slots=True)
class Typicality:
    """How well inputs fit among the examples: fits in ascending order, of what belongs and of what does not."""

    units: Floats  # one a measure: three, or one where there is no spread within labels
    #: Of the examples, each left out: (N,).
    fits: Floats
    #: Of the examples whose whole label is left out, which makes strangers of them: (N,).
    label_left_out: Floats
    #: Of the examples of negative labels: (M,).
    negatives: Floats

    @classmethod
    def of(cls, left_out: Floats, label_left_out: Floats | None = None, negatives: Floats | None = None) -> Self:
        """From the measures, (N, 3), of the examples that are not the only ones of their labels, left out."""
        units = left_out.std(0) if len(left_out) else np.ones(left_out.shape[1])
        # Less than this is rounding: what are copies of one another differ by no unit at all.
        units = np.maximum(units, 1e-4 * np.maximum(np.abs(left_out).max(0, initial=0.0), 1.0))
        none = np.empty((0, left_out.shape[1]))
        several = (none if one is None else one for one in (left_out, label_left_out, negatives))
        return cls(units, *(np.sort((one / units).sum(1)) for one in several))

    @property
    def count(self) -> int:
        """How many examples it stands on: no p-value is under 1 / (count + 1)."""
        return len(self.fits)

    def combined_fits(self, given: Floats) -> Floats:
        """Measures as one number, greater for what fits: (n, 3) → (n,)."""
        return np.asarray((given / self.units).sum(1), np.float64)

    def p_values(self, given: Floats) -> Floats:
        """The part of what belongs here that fits no better: measures (n, 3) → (n,)."""
        is_better = np.searchsorted(self.fits, self.combined_fits(given), "right")
        return np.asarray((1 + is_better) / (self.count + 1), np.float64)

    def min_fit(self, false_reject: float, false_accept: float | None) -> float | None:
        """The fit under which an input is a stranger; None: too few examples to say.

        By the target of false rejects, unless there is one of false accepts. Beside the former, known negatives are a
        ceiling of strangers: the greatest fit of theirs, or of nineteen twentieths of them where they are many.
        """
        if false_accept is not None:
            enough = len(self.negatives) + 1 >= 1 / false_accept
            return _over(self.negatives if enough else self.label_left_out, false_accept)
        allowed = int(false_reject * (self.count + 1) + 1e-9)
        if not allowed:
            return None
        ceiling = self.ceiling
        return max(float(self.fits[allowed - 1]), -np.inf if ceiling is None else ceiling)

    @property
    def ceiling(self) -> float | None:
        """Just over the fit of known negatives, or of most of them; None: there are none."""
        return _over(self.negatives, max(_CEILING, 1 / (len(self.negatives) + 1)))


def _over(label_left_out: Floats, accepted: float) -> float | None:
    """Just over the fit that no more than this part of strangers reach, others of their kind counted in."""
    allowed = int(accepted * (len(label_left_out) + 1) + 1e-9)
    return (
        float(np.nextafter(label_left_out[len(label_left_out) - allowed], np.inf))
        if allowed and len(label_left_out)
        else None
    )


def nearest_other_similarities(
    vectors: Array, rows: Rows, some: Rows, contents: Rows | None = None
) -> tuple[Floats, Floats]:
    """Cosines of some of the examples, (N, d), to the nearest other one, and to the nearest of another label.

    (N,) labels' rows and (n,) → (n,) each; -1 where there is none. Of equal `contents`, (N,), none is another.
    """
    each = np.arange(len(vectors)) if contents is None else contents
    nearest, other = np.full(len(some), -1.0), np.full(len(some), -1.0)
    for start in range(0, len(some), _CHUNK):
        part = some[start : start + _CHUNK]
        cosines = vectors[part] @ vectors.T
        cosines[each[part, None] == each] = -1.0
        nearest[start : start + _CHUNK] = cosines.max(1)
        cosines[rows[part, None] == rows] = -1.0
        other[start : start + _CHUNK] = cosines.max(1)
    return nearest, other


def max_softmax(cosines: Array) -> Floats:
    """The greatest probability by softmax over cosines to prompts, unscaled: (n, C) → (n,) (MCM: Ming et al. 2022)."""
    return np.asarray(softmax(cosines, 1.0).max(1), np.float64)


def nearest_similarities(queries: Array, vectors: Array) -> Floats:
    """Cosines of queries to the nearest example: (n, d), (N, d) → (n,)."""
    parts = [queries[start : start + _CHUNK] @ vectors.T for start in range(0, len(queries), _CHUNK)]
    return np.concatenate([np.asarray(part.max(1, initial=-1.0), np.float64) for part in parts] or [np.empty(0)])
