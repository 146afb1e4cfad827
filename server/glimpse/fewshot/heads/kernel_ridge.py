"""Kernel ridge regression on cosines (as ProKeR, Bendou et al. 2025, without its prior).

    f(x) = k(x, S) (K + lam I)^-1 Y,   k(x, y) = exp(-beta (1 - x · y))

Y is one-hot, or several-hot if an input may have several labels.

Beta and lam are the pair with the least leave-one-out error. That error is exact and needs no refit: with a = (K + lam
I)^-1 Y, the residual of example i is a_i / [(K + lam I)^-1]_ii (Rifkin and Lippert 2007). The residuals of examples
that are left out together, a group or a whole label, are [(K + lam I)^-1]_gg^-1 a_g. With more than 1,500 examples,
beta and lam are chosen on that many of them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.groups import several_members
from glimpse.fewshot.statistics.positive_definite import Real, inverse_root
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample

BETAS, RIDGES = (1.0, 4.0, 10.0), (0.03, 0.3, 1.0)
#: Fitting takes O(N³): some ten seconds on one thread for this many examples.
MOST_EXAMPLES = 4_000
# Beta and lam are chosen on at most this many examples.
_SAMPLE = 1_500
# Errors in single precision up to this factor of the least one are computed again. They differ from those in double
# precision by at most 1e-5 (caltech101 and sign_digits with MobileNet V2).
_NEAR = 1.01


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
        beta, ridge, weights, residuals, root = _fitted(vectors, target, groups)
        without = np.empty_like(weights)
        for row in np.unique(rows):
            members = np.flatnonzero(rows == row)
            without[members] = target[members] - _residuals(root, weights, members)
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
    """Returns beta, lam, the weights `(N, C)`, the residuals of examples left out `(N, C)`, and M of `inverse_root`."""
    chosen = sample(len(vectors), _SAMPLE)
    some = None if groups is None else groups[chosen]
    beta, ridge = _least_error(vectors[chosen] @ vectors[chosen].T, target[chosen], list(several_members(some)))
    root, weights = _weights(np.asarray(vectors @ vectors.T, np.float64), target, beta, ridge)
    return beta, ridge, weights, _left_out_residuals(root, weights, list(several_members(groups))), root


def _least_error(cosines: Array, target: Floats, together: Sequence[Rows]) -> tuple[float, float]:
    """Returns the beta and lam with the least squared leave-one-out error.

    Single precision finds the pairs that come near the least error, and double precision decides between them.

    Args:
        cosines: `(n, n)`, of the examples with each other.
        target: `(n, C)`.
        together: the examples that are left out together.
    """
    pairs = list(itertools.product(BETAS, RIDGES))
    errors = {pair: _error(cosines, np.asarray(target, np.float32), together, *pair) for pair in pairs}
    near = [pair for pair in pairs if errors[pair] <= min(errors.values()) * _NEAR]
    if len(near) > 1:
        exact = np.asarray(cosines, np.float64)
        errors = {pair: _error(exact, target, together, *pair) for pair in near}
    return min(errors, key=errors.__getitem__)


def _error(
    cosines: npt.NDArray[Real], target: npt.NDArray[Real], together: Sequence[Rows], beta: float, ridge: float
) -> float:
    residuals = _left_out_residuals(*_weights(cosines, target, beta, ridge), together)
    return float(np.mean(residuals**2, dtype=np.float64))


def _weights(
    cosines: npt.NDArray[Real], target: npt.NDArray[Real], beta: float, ridge: float
) -> tuple[npt.NDArray[Real], npt.NDArray[Real]]:
    """Returns M, with M^T M = (K + lam I)^-1, and the weights: cosines `(n, n)`, targets `(n, C)`."""
    kernel = np.exp(beta * (cosines - 1))
    kernel[np.diag_indices_from(kernel)] += ridge
    root = inverse_root(kernel)
    return root, root.T @ (root @ target)


def _left_out_residuals(
    root: npt.NDArray[Real], weights: npt.NDArray[Real], together: Sequence[Rows]
) -> npt.NDArray[Real]:
    """Returns the residuals of examples left out, with their groups: M `(n, n)`, weights `(n, C)` → `(n, C)`."""
    residuals: npt.NDArray[Real] = weights / np.einsum("ij,ij->j", root, root)[:, None]
    for members in together:
        residuals[members] = _residuals(root, weights, members)
    return residuals


def _residuals(root: npt.NDArray[Real], weights: npt.NDArray[Real], members: Rows) -> npt.NDArray[Real]:
    """Returns the residuals of examples that are left out together, `(m,)` → `(m, C)`."""
    part = root[:, members]
    residuals: npt.NDArray[Real] = np.linalg.solve(part.T @ part, weights[members]).astype(weights.dtype, copy=False)
    return residuals
