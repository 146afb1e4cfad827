"""Kernel ridge regression on cosines (as ProKeR, Bendou et al. 2025, without its prior).

    f(x) = k(x, S) (K + lam I)^-1 Y,   k(x, y) = exp(-beta (1 - x · y))

Y is one-hot, or several-hot if an input may have several labels.

Beta and lam are the pair with the least leave-one-out error. That error is exact and needs no refit: with a = (K + lam
I)^-1 Y, the residual of example i is a_i / [(K + lam I)^-1]_ii (Rifkin and Lippert 2007). The residuals of examples
that are left out together, a group or a whole label, are [(K + lam I)^-1]_gg^-1 a_g. With more than 1,500 examples,
beta and lam are chosen on that many of them.
"""

from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.statistics.groups import several_members
from glimpse.fewshot.statistics.positive_definite import inverse, inverse_root
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
    def fit(cls, vectors: Array, rows: Rows, labels: int, groups: Rows | None = None) -> "KernelRidge":
        """Fits beta, lam and the weights. O(N³), N up to 4,000.

        Args:
            vectors: `(N, d)`, unit rows.
            rows: `(N,)`, the columns of their labels.
            labels: C.
            groups: `(N,)`, equal numbers mark examples that are left out together; None if each is left out alone.
        """
        target = np.eye(labels)[rows]
        beta, ridge, weights, residuals, whole = _fitted(vectors, target, groups)
        without = np.empty_like(weights)
        for row in np.unique(rows):
            members = np.flatnonzero(rows == row)
            without[members] = target[members] - _residuals(whole, weights, members)
        return cls(vectors, np.asarray(weights, np.float32), beta, ridge, target - residuals, without)

    @classmethod
    def fit_targets(cls, vectors: Array, target: Floats, groups: Rows | None = None) -> "KernelRidge":
        """Fits inputs that may have several labels. `label_left_out` stays empty.

        Args:
            vectors: `(N, d)`, unit rows, each content once.
            target: `(N, C)`, 1 where the input has the label, else 0.
            groups: `(N,)`, inputs with equal numbers are left out together; None: each alone.
        """
        beta, ridge, weights, residuals, _ = _fitted(vectors, target, groups)
        none = np.empty((0, target.shape[1]))
        return cls(vectors, np.asarray(weights, np.float32), beta, ridge, target - residuals, none)

    def scores(self, queries: Array) -> Array:
        """Scores queries: `(n, d)` → `(n, C)` float32."""
        return np.asarray(np.exp(-self.beta * (1 - queries @ self.vectors.T)) @ self.weights, np.float32)


def _fitted(vectors: Array, target: Floats, groups: Rows | None) -> tuple[float, float, Floats, Floats, Floats]:
    """Returns beta, lam, the weights `(N, C)`, the residuals of examples left out `(N, C)`, and (K + lam I)^-1."""
    chosen = sample(len(vectors), _SAMPLE)
    beta, ridge = _least_error(vectors[chosen], target[chosen], None if groups is None else groups[chosen])
    kernel = np.exp(-beta * (1 - np.asarray(vectors @ vectors.T, np.float64)))
    kernel[np.diag_indices_from(kernel)] += ridge
    whole = inverse(kernel)
    weights = whole @ target
    residuals = weights / np.diag(whole)[:, None]
    for members in several_members(groups):
        residuals[members] = _residuals(whole, weights, members)
    return beta, ridge, weights, residuals, whole


def _least_error(vectors: Array, target: Floats, groups: Rows | None) -> tuple[float, float]:
    """Returns the beta and lam with the least squared leave-one-out error: vectors `(n, d)`, targets `(n, C)`."""
    cosines, together = np.asarray(vectors @ vectors.T, np.float64), list(several_members(groups))
    errors: dict[tuple[float, float], float] = {}
    for beta in BETAS:
        kernel = np.exp(-beta * (1 - cosines))
        for ridge in RIDGES:
            root = inverse_root(kernel + ridge * np.eye(len(kernel)))
            weights = root.T @ (root @ target)
            residuals = weights / np.einsum("ij,ij->j", root, root)[:, None]
            for members in together:
                part = root[:, members]
                residuals[members] = np.linalg.solve(part.T @ part, weights[members])
            errors[beta, ridge] = float((residuals**2).mean())
    return min(errors, key=errors.__getitem__)


def _residuals(whole: Floats, weights: Floats, members: Rows) -> Floats:
    """Returns the residuals of examples that are left out together, `(m,)` → `(m, C)`."""
    return np.asarray(np.linalg.solve(whole[np.ix_(members, members)], weights[members]), np.float64)
