"""Kernel ridge regression on cosines (as ProKeR, Bendou et al. 2025, without its prior).

    f(x) = k(x, S) (K + lam I)^-1 Y,   k(x, y) = exp(-beta (1 - x · y)),   Y one-hot

Beta and lam are the pair with the least leave-one-out error. That error is exact and needs no refit: with a = (K + lam
I)^-1 Y, the residual of example i is a_i / [(K + lam I)^-1]_ii (Rifkin and Lippert 2007). The residuals of all examples
of a label, left out together, are [(K + lam I)^-1]_gg^-1 a_g. With more than 1,500 examples, beta and lam are chosen on
that many of them.
"""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample

BETAS, RIDGES = (1.0, 4.0, 10.0), (0.03, 0.3, 1.0)
#: Fitting takes O(N³): some ten seconds on one thread for this many examples.
MOST_EXAMPLES = 4_000
# Beta and lam are chosen on at most this many examples.
_SAMPLE = 1_500


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
    def fit(cls, vectors: Array, rows: Rows, labels: int) -> "KernelRidge":
        """Fits beta, lam and the weights. O(N³), N up to 4,000.

        Args:
            vectors: `(N, d)`, unit rows.
            rows: `(N,)`, the columns of their labels.
            labels: C.
        """
        target = np.eye(labels)[rows]
        chosen = sample(len(rows), _SAMPLE)
        beta, ridge = _least_error(vectors[chosen], target[chosen])
        kernel = np.exp(-beta * (1 - np.asarray(vectors @ vectors.T, np.float64)))
        kernel[np.diag_indices_from(kernel)] += ridge
        whole = np.linalg.inv(kernel)
        weights = whole @ target
        residuals = weights / np.diag(whole)[:, None]
        without = np.empty_like(weights)
        for row in np.unique(rows):
            group = np.flatnonzero(rows == row)
            without[group] = target[group] - np.linalg.solve(whole[np.ix_(group, group)], weights[group])
        return cls(vectors, np.asarray(weights, np.float32), beta, ridge, target - residuals, without)

    def scores(self, queries: Array) -> Array:
        """Scores queries: `(n, d)` → `(n, C)` float32."""
        return np.asarray(np.exp(-self.beta * (1 - queries @ self.vectors.T)) @ self.weights, np.float32)


def _least_error(vectors: Array, target: Floats) -> tuple[float, float]:
    """Returns the beta and lam with the least squared leave-one-out error: vectors `(n, d)`, targets `(n, C)`."""
    cosines = np.asarray(vectors @ vectors.T, np.float64)
    errors: dict[tuple[float, float], float] = {}
    for beta in BETAS:
        values, basis = np.linalg.eigh(np.exp(-beta * (1 - cosines)))
        inside = basis.T @ target
        for ridge in RIDGES:
            inverse = 1 / (np.maximum(values, 0.0) + ridge)
            residuals = basis @ (inverse[:, None] * inside) / (basis**2 @ inverse)[:, None]
            errors[beta, ridge] = float((residuals**2).mean())
    return min(errors, key=errors.__getitem__)
