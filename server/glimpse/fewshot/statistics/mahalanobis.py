"""The Mahalanobis metric within labels: the inverse of LDA's shrunk covariance.

With nu = N - C and the pooled scatter W within labels:

    Sigma = (1 - lam) W / nu + lam t I,   lam = d / (d + nu),   t = tr(W) / (nu d)

This equals (W + r I) / (d + nu) with r = tr(W) / nu, so its inverse is (d + nu) G with G = (W + r I)^-1. Shrinkage
toward a scaled identity follows Ledoit and Wolf (2004); lam has no parameter. A new example changes W by a matrix of
rank one, and so G (Sherman and Morrison 1950); r stays until the next inversion. Without degrees of freedom within
labels (nu = 0), Sigma = I.
"""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.positive_definite import inverse
from glimpse.fewshot.statistics.unit_vectors import Floats

# A mean squared distance this small is rounding: each label's examples are copies of one vector.
_NO_SPREAD = 1e-9


@dataclass(frozen=True, slots=True)
class Spread:
    """Squared distances under Sigma^-1 from a label's true mean: e of an example, and e of its text.

    Attributes:
        examples: e of an example.
        texts: e of the label's text.
        labels: b, that of the mean of all labels.
        pull: w, how many examples the mean of all labels counts as, for a label without text (heads/lda.py).
    """

    examples: float
    texts: float
    labels: float = 0.0
    pull: float = 0.0

    def noise(self, moments: Moments) -> Floats:
        """Returns the expected squared distances of LDA's centres from the true means, `(C,)`.

        (n e_example + w_text² e_text) / (n + w_text)² with a text, and (n e_example + w² b) / (n + w)² without.
        """
        counts, texts, pulls = moments.counts, moments.shots - moments.counts, self.pulls(moments)
        far = counts * self.examples + texts**2 * self.texts + pulls**2 * self.labels
        return np.asarray(far / (moments.shots + pulls) ** 2, np.float64)

    def pulls(self, moments: Moments) -> Floats:
        """Returns the weight of the mean of all labels in each label's centre, `(C,)`: 0 for a label with text."""
        return np.where(moments.shots > moments.counts, 0.0, self.pull)


@dataclass(slots=True)
class Metric:
    """One inversion: G `(d, d)`, its ridge r, the degrees of freedom (0: G is the identity), and d.

    In coordinates of a subspace that contains all examples, G has a side for each coordinate, and `dimension` is still
    that of the embedding space, on which the shrinkage depends.
    """

    inverse: Floats
    ridge: float
    freedom: int  # `shift` changes it
    dimension: int

    @classmethod
    def identity(cls, dimension: int) -> "Metric":
        """Returns the Euclidean metric, for examples without a spread within labels."""
        return cls(np.eye(dimension), 0.0, 0, dimension)

    @classmethod
    def of(cls, moments: Moments, dimension: int | None = None) -> "Metric":
        """Inverts the scatter: O(d³ + C d²).

        Args:
            moments: the class statistics.
            dimension: d, if the statistics are of coordinates in a subspace of the embedding space.
        """
        scatter, freedom = moments.scatter(), moments.freedom
        ridge = float(np.trace(scatter)) / freedom if freedom else 0.0
        if ridge <= _NO_SPREAD:
            return cls.identity(moments.dimension)
        scatter[np.diag_indices_from(scatter)] += ridge
        return cls(inverse(scatter), ridge, freedom, dimension or moments.dimension)

    @property
    def scale(self) -> float:
        """d + nu: the factor from x^T G y to the inner product under Sigma^-1."""
        return float(self.dimension + self.freedom) if self.freedom else 1.0

    def shift(self, residual: Floats, by: float) -> tuple[Floats, float]:
        """Updates G for a change of W by `by` z z^T: the new G is G - g u u^T.

        Returns:
            u = G z, `(d,)`, and g = by / (1 + by z^T u).
        """
        direction = self.inverse @ residual
        gain = by / (1.0 + by * float(residual @ direction))
        self.inverse -= np.outer(gain * direction, direction)
        self.freedom += 1 if by > 0 else -1
        return direction, gain
