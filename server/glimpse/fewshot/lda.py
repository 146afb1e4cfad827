"""Shrinkage LDA in closed form, kept up to date example by example.

With nu = N - C and W the pooled scatter within labels, Sigma = (1 - lam) W / nu + lam t I, lam = d / (d + nu) and
t = tr(W) / (nu d). That is (W + r I) / (d + nu) with r = tr(W) / nu, so its inverse is (d + nu) G, G = (W + r I)^-1.
A new example changes W by a matrix of rank one, and G by another (Sherman and Morrison 1950); r stands still until the
next inversion. The score s_c(x) = (d + nu) (x^T G mu_c - 1/2 mu_c^T G mu_c) is Fisher's discriminant with a uniform
prior, mu_c the label's centre. Without freedom within labels (nu = 0) Sigma = I: the nearest class mean.

A mean of n examples lies e / n farther (squared) from what belongs to it than the true mean does, e being the squared
distance of an example from the true mean. Labels of few shots would lose for that alone, so e / (2 n_c) is added to
their scores. With 1 shot for half of caltech101's labels and 16 for the others, 34 % right become 67 %.
"""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.moments import Moments
from glimpse.fewshot.vectors import Array, Floats

# Within-label squared distances this small are rounding: each label's examples are copies of one another.
_NO_SPREAD = 1e-9
# Inverted anew once the examples have changed by this part of what they were.
_GROWTH = 0.1


@dataclass(slots=True)
class Metric:
    """One inversion: G, (d, d), its ridge r, and the degrees of freedom it saw (0: G is the identity)."""

    inverse: Floats
    ridge: float
    freedom: int

    @classmethod
    def of(cls, moments: Moments) -> "Metric":
        """Inverts anew: O(d^3 + C d^2)."""
        scatter, freedom = moments.scatter(), moments.freedom
        ridge = float(np.trace(scatter)) / freedom if freedom else 0.0
        if ridge <= _NO_SPREAD:
            return cls(np.eye(moments.dimension), 0.0, 0)
        scatter[np.diag_indices_from(scatter)] += ridge
        return cls(np.asarray(np.linalg.inv(scatter), np.float64), ridge, freedom)

    def scale(self, moments: Moments) -> float:
        """d + nu, nu of the moments as they are: what makes of x^T G y an inner product under Sigma^-1."""
        return float(moments.dimension + moments.freedom) if self.freedom else 1.0

    def shift(self, residual: Floats, by: float) -> tuple[Floats, float]:
        """W changes by `by` z z^T: G - g u u^T is the new G. Returns u = G z, (d,), and g."""
        direction = self.inverse @ residual
        gain = by / (1.0 + by * float(residual @ direction))
        self.inverse -= np.outer(gain * direction, direction)
        return direction, gain


class LdaHead:
    """Scores by shrinkage LDA. One thread changes and asks it; `Metric.of` may run in another, on a copy."""

    def __init__(self, dimension: int) -> None:
        self.moments = Moments(dimension)
        self._metric = Metric.of(self.moments)
        self._spread = 0.0
        #: How often the examples have changed.
        self.version = 0
        self._fitted = self._removed = 0  # the versions of the last inversion and the last removal
        # The labels' middle, from which scores are taken: near copies lie too close together for float32 otherwise. Of
        # float32 itself, as what queries lose must be what centres lose.
        self._origin = np.zeros(dimension, np.float32)
        self._weights = np.zeros((8, dimension))  # of the centres from the origin: M G
        self._bias = np.zeros(8)  # 1/2 mu_c^T G mu_c
        self._single: Array | None = None

    @property
    def labels(self) -> list[str]:
        """The labels that can score, in the order of the columns of `scores`."""
        return self.moments.labels

    @property
    def metric(self) -> Metric:
        """The inversion in use, brought up to date."""
        return self._metric

    @property
    def scale(self) -> float:
        """The metric's, for the examples as they are."""
        return self._metric.scale(self.moments)

    @property
    def due(self) -> bool:
        """Whether the examples have changed so much that the ridge, or rounding, asks for a new inversion."""
        return self._removed > self._fitted or self.version - self._fitted > _GROWTH * self._metric.freedom

    @property
    def settled(self) -> bool:
        """Whether the scores are those of LDA fitted to the examples at once."""
        return self.version == self._fitted

    def add(self, label: str, vector: Array) -> None:
        """Counts one more example, (d,): O(d^2 + C d)."""
        value, row = np.asarray(vector, np.float64), self.moments.row(label)
        before = (self.moments.mean(row), float(self.moments.counts[row])) if row is not None else (value, 0.0)
        self.moments.add(label, value)
        self.version += 1
        self._shift(value - before[0], before[1] / (before[1] + 1))
        self._refresh(label)

    def remove(self, label: str, vector: Array) -> None:
        """Takes an added example back."""
        value = np.asarray(vector, np.float64)
        self.moments.remove(label, value)
        self.version += 1
        self._removed = self.version
        row = self.moments.row(label)
        if row is None:
            self._rebuild()
            return
        count = float(self.moments.counts[row])
        self._shift(value - self.moments.mean(row), -count / (count + 1))
        self._refresh(label)

    def set_text(self, label: str, direction: Array | None) -> None:
        """Gives a label the direction, (d,), of its prompts, or None: text counts as some examples of it."""
        self.moments.set_text(label, direction)
        if self.moments.row(label) is None:
            self._rebuild()
        else:
            self._refresh(label)

    def adopt(self, metric: Metric, spread: float = 0.0, version: int | None = None) -> None:
        """Takes an inversion of the moments, and the e that leaving out gives for it.

        `version`: of the moments it is of, where they are not those of now; what came since counts as not settled.
        """
        self._metric = Metric(metric.inverse.copy(), metric.ridge, metric.freedom)
        self._spread, self._fitted = spread, self.version if version is None else version
        self._rebuild()

    def scores(self, queries: Array) -> Array:
        """Log-likelihoods, up to what all labels share: (n, d) → (n, C)."""
        count = len(self.labels)
        if self._single is None:
            self._single = self._weights[:count].astype(np.float32)
        linear = (queries - self._origin) @ self._single.T
        few = 0.5 * self._spread / self.moments.shots
        return np.asarray(self.scale * (linear - self._bias[:count]) + few, np.float32)

    def distances(self, queries: Array, scores: Array) -> Floats:
        """Squared Mahalanobis distances to the nearest label's true mean, (n,), of queries (n, d) with these scores."""
        values = np.asarray(queries, np.float64) - self._origin
        lengths = np.einsum("nd,nd->n", values @ self._metric.inverse, values)
        return np.asarray(self.scale * lengths - 2 * scores.max(1), np.float64)

    def _shift(self, residual: Floats, by: float) -> None:
        if not by or not self._metric.freedom:  # a label's first example; or no metric yet
            return
        count = len(self.labels)
        across = self._weights[:count] @ residual  # (mu_c - origin)^T G z
        direction, gain = self._metric.shift(residual, by)
        self._weights[:count] -= np.outer(gain * across, direction)
        self._bias[:count] -= 0.5 * gain * across**2

    def _refresh(self, label: str) -> None:
        row = self.moments.row(label)
        assert row is not None  # noqa: S101 (it was just changed)
        if len(self._bias) < len(self.labels):
            self._weights = np.concatenate([self._weights, np.zeros_like(self._weights)])
            self._bias = np.concatenate([self._bias, np.zeros_like(self._bias)])
        centre = self.moments.centre(row) - self._origin
        self._weights[row] = self._metric.inverse @ centre
        self._bias[row] = 0.5 * float(centre @ self._weights[row])
        self._single = None

    def _rebuild(self) -> None:
        centres = self.moments.centres
        if len(centres):
            self._origin = centres.mean(0).astype(np.float32)
            centres = centres - self._origin
        self._weights = np.concatenate([centres @ self._metric.inverse, np.zeros((8, centres.shape[1]))])
        self._bias = np.concatenate([0.5 * np.einsum("cd,cd->c", centres, self._weights[: len(centres)]), np.zeros(8)])
        self._single = None
