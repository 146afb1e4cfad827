"""Open-set recognition: a p-value for how well an input fits among a collection's examples.

Three measures are added, each divided by its standard deviation over the left-out examples:

- the relative Mahalanobis distance: squared distance to the mean of all examples less that to the nearest label's mean
  (Ren et al. 2021);
- the cosine to the nearest example (Sun et al. 2022);
- the log of the greatest probability (Hendrycks and Gimpel 2017).

Each example is measured with itself left out. An input's p-value is (1 + the number of examples that fit no better) /
(N + 1) (conformal prediction: Vovk et al. 2005), so p <= a rejects a fraction a of known inputs. The least p-value is 1
/ (N + 1): with too few examples for the target, an input is rejected if it fits worse than all of them, at that rate.
In-sample measures would not do: for a target of 5 % they reject 8 to 99 %.

With one example per label nothing can be left out. A new input of a label is nearer to its example than examples of
different labels are to each other. `least_similarity` gives the cosine that 10 % of these do not reach. It needs 20
labels. Measured with 20 to 102 labels on caltech101 and banking77: 1 to 4 % false rejects, and 10 to 13 % of inputs out
of distribution caught; a fixed cosine of 0.5 rejects 11 to 17 % of known inputs there and 99.6 % on TREC.

With fewer than 30 examples left out, the relative distance does not count. With it, 3 labels of TREC, paintings and
banking77 with 2 examples each reject 100, 74 and 23 % of the new inputs of these labels, and 25, 21 and 18 % without it
(for a stated rate of 14 %); with 3 examples each 88, 39 and 8 %, and 6, 3 and 8 %.

No single measure dominates. AUROC at 8 shots of caltech101 against its clutter, of two thirds of banking77's intents
against the others, and of six hand signs against the other four: plain Mahalanobis distance 0.870, 0.779, 0.738; cosine
to the class mean 0.919, 0.792, 0.731; greatest probability 0.939, 0.794, 0.717; the sum 0.952, 0.840, 0.802.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.decision import log_max_softmax, softmax
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

# The fraction of negative examples that may be accepted, unless the policy sets another.
_CEILING = 0.05
#: The fewest examples left out by which inputs are rejected.
MIN_LEFT_OUT = 6
# The fewest examples left out by which the relative Mahalanobis distance counts. That of fewer examples, each left out,
# is far from that of new inputs: 300 to 460 against 51 +- 38 on PACS's paintings, 3 labels with 2 examples each.
_FEWEST_RELATIVE = 30
# The fewest labels, and the quantile of the examples' cosines to another label, for collections of one example a label.
MIN_LABELS, QUANTILE = 20, 0.1
# Cosines per block in searches for neighbours, and the fewest inputs of a block. Products of few rows are slow.
_COSINES, _FEWEST_ROWS = 1 << 21, 64


@dataclass(frozen=True, slots=True)
class PooledGaussian:
    """One Gaussian of all examples, with the shrinkage of LDA: the reference for the relative Mahalanobis distance."""

    mean: Array
    precision: Array

    @classmethod
    def of(cls, pooled: Moments, metric: Metric) -> Self:
        """Builds it from the statistics of all examples as one label, and their metric."""
        return cls(pooled.mean(0).astype(np.float32), (metric.scale * metric.inverse).astype(np.float32))

    @classmethod
    def empty(cls, dimension: int) -> Self:
        """Returns one with distance 0 everywhere: distances to labels then count as they are."""
        return cls(np.zeros(dimension, np.float32), np.zeros((dimension, dimension), np.float32))

    def distances(self, queries: Array) -> Floats:
        """Returns squared Mahalanobis distances to the mean of all examples: `(n, d)` → `(n,)` float64."""
        gaps = queries - self.mean
        return np.asarray(np.einsum("nd,nd->n", gaps @ self.precision, gaps, dtype=np.float64), np.float64)


def fit_measures(relative: Floats, nearest: Floats, scores: Array | Floats, temperature: float) -> Floats:
    """Stacks the three measures, greater for a better fit.

    Args:
        relative: `(n,)`, squared Mahalanobis distances to the mean of all examples less those to the nearest label's
            mean.
        nearest: `(n,)`, cosines to the nearest example.
        scores: `(n, C)`, a head's scores.
        temperature: the head's temperature.

    Returns:
        `(n, 3)` float64.
    """
    measures = np.empty((len(scores), 3))
    measures[:, 0], measures[:, 1] = relative, nearest
    measures[:, 2] = log_max_softmax(scores, 1 / temperature)
    return measures


@dataclass(frozen=True, slots=True)
class Typicality:
    """Reference distributions of the measure of fit, each sorted ascending."""

    #: The unit of each measure: three, or one without a spread within labels.
    units: Floats
    #: Fits of the examples, each left out: (N,).
    fits: Floats
    #: Fits of the examples with their whole label left out, which puts them out of distribution: (N,).
    label_left_out: Floats
    #: Fits of the negative examples: (M,).
    negatives: Floats

    @classmethod
    def of(cls, left_out: Floats, label_left_out: Floats | None = None, negatives: Floats | None = None) -> Self:
        """Sorts the fits of three groups of examples.

        Args:
            left_out: `(N, 3)`, measures of the examples, each left out; only of labels with another example.
            label_left_out: measures of the examples with their whole label left out.
            negatives: measures of the negative examples.
        """
        units = left_out.std(0) if len(left_out) else np.ones(left_out.shape[1])
        # A smaller standard deviation is rounding: copies of one vector do not differ.
        units = np.maximum(units, 1e-4 * np.maximum(np.abs(left_out).max(0, initial=0.0), 1.0))
        if len(units) > 1 and len(left_out) < _FEWEST_RELATIVE:
            units[0] = np.inf
        none = np.empty((0, left_out.shape[1]))
        groups = (none if group is None else group for group in (left_out, label_left_out, negatives))
        return cls(units, *(np.sort((group / units).sum(1)) for group in groups))

    @property
    def count(self) -> int:
        """The number of left-out examples; no p-value is less than 1 / (count + 1)."""
        return len(self.fits)

    def combined_fits(self, measures: Floats) -> Floats:
        """Combines measures into one fit, greater for a better fit: `(n, 3)` → `(n,)` float64."""
        return np.asarray(np.add.reduce(measures / self.units, axis=1), np.float64)

    def p_values(self, fits: Floats) -> Floats:
        """Returns conformal p-values, (1 + examples that fit no better) / (count + 1): fits `(n,)` → `(n,)` float64."""
        no_better = self.fits.searchsorted(fits, "right")
        return np.asarray((1 + no_better) / (self.count + 1), np.float64)

    def min_fit(self, false_reject: float, false_accept: float | None) -> float | None:
        """Returns the fit below which an input is UNKNOWN.

        Args:
            false_reject: target rate of known inputs called UNKNOWN. Negative examples raise the threshold: at most 5 %
                of them, and at most one if there are few, may be accepted.
            false_accept: target rate of accepted inputs out of distribution; replaces `false_reject`. It is measured on
                the negative examples if there are enough, else with whole labels left out.

        Returns:
            The threshold, or None if the examples are too few.
        """
        if false_accept is not None:
            enough = len(self.negatives) + 1 >= 1 / false_accept
            return _threshold_over(self.negatives if enough else self.label_left_out, false_accept)
        if self.count < MIN_LEFT_OUT:
            return None
        ceiling = self.negative_ceiling
        return max(float(self.fits[self._allowed(false_reject) - 1]), -np.inf if ceiling is None else ceiling)

    def reject_rate(self, false_reject: float) -> float | None:
        """Returns the rate of false rejects that the examples can keep: the target or, with fewer than 1 / target - 1
        examples, 1 / (count + 1). None with fewer than 6.
        """
        return None if self.count < MIN_LEFT_OUT else max(false_reject, 1 / (self.count + 1))

    def _allowed(self, false_reject: float) -> int:
        return max(1, int(false_reject * (self.count + 1) + 1e-9))

    def least_similarity(self, labels: int) -> float | None:
        """Returns the cosine to the nearest example below which an input is UNKNOWN while nothing can be left out.

        Args:
            labels: the number of labels with examples.

        Returns:
            The 10 % quantile of the examples' cosines to the nearest example of another label, `label_left_out` of a
            typicality by that cosine; None with fewer than 20 labels.
        """
        if labels < MIN_LABELS or not len(self.label_left_out):
            return None
        return float(np.quantile(self.label_left_out, QUANTILE))

    @property
    def negative_ceiling(self) -> float | None:
        """The least value above the fits of the negative examples (of 95 % of them if there are many); None without
        any.
        """
        return _threshold_over(self.negatives, max(_CEILING, 1 / (len(self.negatives) + 1)))


def _threshold_over(fits: Floats, accepted: float) -> float | None:
    """Returns the least value that at most a fraction `accepted` of inputs like these reaches; None if they are too
    few.
    """
    allowed = int(accepted * (len(fits) + 1) + 1e-9)
    return float(np.nextafter(fits[len(fits) - allowed], np.inf)) if allowed and len(fits) else None


def nearest_other_similarities(
    vectors: Array, rows: Rows, some: Rows, contents: Rows | None = None, groups: Rows | None = None
) -> tuple[Floats, Floats]:
    """Returns cosines of some examples to the nearest other example, and to the nearest example of another label.

    Args:
        vectors: `(N, d)`, all examples.
        rows: `(N,)`, their labels' rows.
        some: `(n,)`, the examples to ask about.
        contents: `(N,)`, equal numbers mark copies, which are not each other's neighbours; None if there are none.
        groups: `(N,)`, equal numbers mark examples that are left out together, likewise.

    Returns:
        `(n,)` twice, float64; -1 if there is no such example.
    """
    each = np.arange(len(vectors)) if contents is None else contents
    nearest, other = np.full(len(some), -1.0), np.full(len(some), -1.0)
    rows_of_block = _block_rows(len(vectors))
    for start in range(0, len(some), rows_of_block):
        part = some[start : start + rows_of_block]
        cosines = vectors[part] @ vectors.T
        cosines[each[part, None] == each] = -1.0
        if groups is not None:
            cosines[groups[part, None] == groups] = -1.0
        nearest[start : start + rows_of_block] = cosines.max(1)
        cosines[rows[part, None] == rows] = -1.0
        other[start : start + rows_of_block] = cosines.max(1)
    return nearest, other


def max_softmax(cosines: Array) -> Floats:
    """Returns the greatest softmax probability over unscaled cosines to prompts: `(n, C)` → `(n,)` (MCM, Ming et al.
    2022).
    """
    return np.asarray(softmax(cosines, 1.0).max(1), np.float64)


def nearest_similarities(queries: Array, vectors: Array) -> Floats:
    """Returns the cosine of each query to its nearest example: `(n, d)`, `(N, d)` → `(n,)` float64; -1 if N = 0."""
    nearest, rows_of_block = np.empty(len(queries)), _block_rows(len(vectors))
    for start in range(0, len(queries), rows_of_block):
        part = slice(start, start + rows_of_block)
        nearest[part] = (queries[part] @ vectors.T).max(1, initial=-1.0)
    return nearest


def _block_rows(count: int) -> int:
    """Returns how many inputs to compare with `count` vectors at once."""
    return max(_FEWEST_ROWS, _COSINES // max(1, count))
