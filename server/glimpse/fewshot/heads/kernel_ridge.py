"""Kernel ridge regression on cosines (as ProKeR, Bendou et al. 2025, without its prior).

    f(x) = k(x, S) (K + lam I)^-1 Y,   k(x, y) = exp(-beta (1 - x · y))

Y is one-hot, or several-hot if an input may have several labels.

Beta and lam are the pair with the least leave-one-out error. That error is exact and needs no refit: with a = (K + lam
I)^-1 Y, the residual of example i is a_i / [(K + lam I)^-1]_ii (Rifkin and Lippert 2007). The residuals of examples
that are left out together, a group or a whole label, are [(K + lam I)^-1]_gg^-1 a_g.
"""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.groups import several_members
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

BETAS, RIDGES = (1.0, 4.0, 10.0), (0.03, 0.3, 1.0)
#: Fitting takes O(N³): some seconds for this many examples.
MOST_EXAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class KernelRidge:
    """Kernel ridge fitted to N examples. Scores are near 1 for a label that fits and near 0 for one that does not."""

    vectors: Array
    weights: Array  # (N, C)
    beta: float
    ridge: float
    #: Scores of each example without it, (N, C).
    left_out: Floats
    #: Scores of each example without any example of its label, (N, C).
    label_left_out: Floats

    @classmethod
    def fit(cls, vectors: Array, rows: Rows, labels: int, groups: Rows | None = None) -> "KernelRidge":
        """Fits beta, lam and the weights. O(N³), N up to 2,000.

        Args:
            vectors: `(N, d)`, unit rows.
            rows: `(N,)`, the columns of their labels.
            labels: C.
            groups: `(N,)`, equal numbers mark examples that are left out together; None if each is left out alone.
        """
        target = np.eye(labels)[rows]
        beta, ridge, weights, residuals, whole = _least_error(vectors, target, groups)
        without = target - _left_out_together(whole, weights, rows)
        return cls(vectors, np.asarray(weights, np.float32), beta, ridge, target - residuals, without)

    @classmethod
    def fit_targets(cls, vectors: Array, target: Floats, groups: Rows | None = None) -> "KernelRidge":
        """Fits inputs that may have several labels. `label_left_out` stays empty.

        Args:
            vectors: `(N, d)`, unit rows, each content once.
            target: `(N, C)`, 1 where the input has the label, else 0.
            groups: `(N,)`, inputs with equal numbers are left out together; None: each alone.
        """
        beta, ridge, weights, residuals, _ = _least_error(vectors, target, groups)
        none = np.empty((0, target.shape[1]))
        return cls(vectors, np.asarray(weights, np.float32), beta, ridge, target - residuals, none)

    def scores(self, queries: Array) -> Array:
        """Scores queries: `(n, d)` → `(n, C)` float32."""
        return np.asarray(np.exp(-self.beta * (1 - queries @ self.vectors.T)) @ self.weights, np.float32)


def _least_error(
    vectors: Array, target: Floats, groups: Rows | None = None
) -> tuple[float, float, Floats, Floats, Floats]:
    """Returns the beta and lam of least leave-one-out error, the weights, the residuals and (K + lam I)^-1."""
    cosines, together = np.asarray(vectors @ vectors.T, np.float64), list(several_members(groups))
    least, kept = np.inf, None
    for beta in BETAS:
        values, basis = np.linalg.eigh(np.exp(-beta * (1 - cosines)))
        inside = basis.T @ target
        for ridge in RIDGES:
            inverse = 1 / (np.maximum(values, 0.0) + ridge)
            weights = basis @ (inverse[:, None] * inside)
            residuals = weights / (basis**2 @ inverse)[:, None]
            for group in together:
                part = basis[group]
                residuals[group] = np.linalg.solve((part * inverse) @ part.T, weights[group])
            error = float((residuals**2).mean())
            if error < least:
                least, kept = error, (beta, ridge, weights, residuals, (basis * inverse) @ basis.T)
    assert kept is not None  # noqa: S101 (the grid is not empty)
    return kept


def _left_out_together(inverse: Floats, weights: Floats, groups: Rows) -> Floats:
    """Returns the residuals, `(N, C)`, if examples with equal numbers in `groups`, `(N,)`, are left out together."""
    residuals = np.empty_like(weights)
    for number in np.unique(groups):
        group = np.flatnonzero(groups == number)
        residuals[group] = np.linalg.solve(inverse[np.ix_(group, group)], weights[group])
    return residuals
