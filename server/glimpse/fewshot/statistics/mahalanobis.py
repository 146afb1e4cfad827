"""How far apart vectors are in units of the spread within labels: shrinkage LDA's covariance, inverted.

With nu = N - C and W the pooled scatter within labels, Sigma = (1 - lam) W / nu + lam t I, lam = d / (d + nu) and
t = tr(W) / (nu d). That is (W + r I) / (d + nu) with r = tr(W) / nu, so its inverse is (d + nu) G, G = (W + r I)^-1.
A new example changes W by a matrix of rank one, and G by another (Sherman and Morrison 1950); r stands still until the
next inversion. Without freedom within labels (nu = 0) Sigma = I.
"""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.unit_vectors import Floats

# Within-label squared distances this small are rounding: each label's examples are copies of one another.
_NO_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class Spread:
    """Squared distances e, under Sigma^-1, from a label's true mean: of an example of it, and of its text."""

    examples: float
    texts: float


@dataclass(slots=True)
class Metric:
    """One inversion: G, (d, d), its ridge r, and the degrees of freedom it saw (0: G is the identity)."""

    inverse: Floats
    ridge: float
    freedom: int  # changes with each shift

    @classmethod
    def identity(cls, dimension: int) -> "Metric":
        """Of examples that show no spread within labels: distances are Euclid's."""
        return cls(np.eye(dimension), 0.0, 0)

    @classmethod
    def of(cls, moments: Moments) -> "Metric":
        """Inverts anew: O(d^3 + C d^2)."""
        scatter, freedom = moments.scatter(), moments.freedom
        ridge = float(np.trace(scatter)) / freedom if freedom else 0.0
        if ridge <= _NO_SPREAD:
            return cls.identity(moments.dimension)
        scatter[np.diag_indices_from(scatter)] += ridge
        return cls(np.asarray(np.linalg.inv(scatter), np.float64), ridge, freedom)

    @property
    def scale(self) -> float:
        """d + nu: what makes of x^T G y an inner product under Sigma^-1."""
        return float(len(self.inverse) + self.freedom) if self.freedom else 1.0

    def shift(self, residual: Floats, by: float) -> tuple[Floats, float]:
        """W changes by `by` z z^T: G - g u u^T is the new G. Returns u = G z, (d,), and g."""
        direction = self.inverse @ residual
        gain = by / (1.0 + by * float(residual @ direction))
        self.inverse -= np.outer(gain * direction, direction)
        self.freedom += 1 if by > 0 else -1
        return direction, gain
