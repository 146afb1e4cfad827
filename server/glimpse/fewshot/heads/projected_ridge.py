"""Ridge regression on a random ReLU projection, for many shots (RanPAC: McDonnell et al. 2023).

h(x) = max(0, x R) with R Gaussian, (d, m); f(x) = h(x) (H^T H + lam I)^-1 H^T Y. lam is that of the least leave-one-out
error, exact through the hat matrix: the residual of example i is (Y - f)_i / (1 - h_i (H^T H + lam I)^-1 h_i^T) (Allen
1974), and those of a label's examples, all left out at once, (I - H_g (H^T H + lam I)^-1 H_g^T)^-1 (Y - f)_g. One
decomposition of H^T H serves every lam.

Against LDA, with MobileNet V2 or MiniLM: banking77 at 30 and 60 shots 90.6 and 92.1 % right (LDA 87.8, 89.4),
caltech101 at 20 shots 90.5 (89.5), but sign_digits at 70 shots 89.1 (92.8): by leave-one-out, not by rule.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample

WIDTH = 2_000
RIDGES = tuple(10.0**power for power in (-1, 0, 1, 1.5, 2, 2.5, 3, 4))
# Examples projected at once.
_CHUNK = 4_096
# Examples of a label that are left out together: the cube of it is the price.
_MOST_OF_LABEL = 1_000


@dataclass(frozen=True, slots=True)
class ProjectedRidge:
    """Fitted to N examples. Scores are near 1 for a label that fits and near 0 for one that does not."""

    projection: Array  # (d, m)
    weights: Array  # (m, C)
    ridge: float
    #: What it would have said of each example without it, (N, C).
    left_out: Array
    #: And without any example of its label, (N, C); -inf of labels with too many for that.
    label_left_out: Array

    @classmethod
    def fit(cls, vectors: Array, rows: Rows, labels: int, width: int = WIDTH) -> Self:
        """From unit vectors, (N, d), and the columns of their labels, (N,): O(N m^2 + m^3)."""
        # The same for every collection and every start, so that the same examples give the same answers.
        projection = np.random.default_rng(0).standard_normal((vectors.shape[1], width), np.float32)
        gram, toward = np.zeros((width, width)), np.zeros((width, labels))
        for start in range(0, len(rows), _CHUNK):
            hidden = _hidden(vectors[start : start + _CHUNK], projection)
            gram += hidden.T @ hidden
            np.add.at(toward.T, rows[start : start + _CHUNK], hidden)
        values, basis = np.linalg.eigh(gram)
        inside = basis.T @ toward
        errors = _errors(vectors, rows, projection, values, basis, inside)
        ridge = min(errors, key=errors.__getitem__)
        weights = basis @ (inside / (values + ridge)[:, None])
        left_out = np.empty((len(rows), labels), np.float32)
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            turned = _hidden(vectors[part], projection) @ basis
            left_out[part] = _without(turned, rows[part], values, inside, ridge)
        without = np.full_like(left_out, -np.inf)
        for row in range(labels):
            group = np.flatnonzero(rows == row)
            if 0 < len(group) <= _MOST_OF_LABEL:
                turned = _hidden(vectors[group], projection) @ basis
                without[group] = _without_all(turned, row, values, inside, ridge)
        return cls(projection, np.asarray(weights, np.float32), ridge, left_out, without)

    def scores(self, queries: Array) -> Array:
        """(n, d) → (n, C)."""
        return np.asarray(np.maximum(queries @ self.projection, 0) @ self.weights, np.float32)


def _hidden(vectors: Array, projection: Array) -> Floats:
    return np.asarray(np.maximum(vectors @ projection, 0), np.float64)


def _without(turned: Floats, rows: Rows, values: Floats, inside: Floats, ridge: float) -> Floats:
    """What is said of each example, projected and turned to the basis, without it: (n, m), (n,) → (n, C)."""
    said = turned @ (inside / (values + ridge)[:, None])
    leverage = (turned**2) @ (1 / (values + ridge))
    target = np.eye(inside.shape[1])[rows]
    return np.asarray(target - (target - said) / np.maximum(1 - leverage, 1e-9)[:, None], np.float64)


def _without_all(turned: Floats, row: int, values: Floats, inside: Floats, ridge: float) -> Floats:
    """What is said of a label's examples, projected and turned to the basis, without all of them: (n, m) → (n, C)."""
    shrunk = turned / (values + ridge)
    target = np.eye(inside.shape[1])[np.full(len(turned), row)]
    return np.asarray(
        target - np.linalg.solve(np.eye(len(turned)) - shrunk @ turned.T, target - shrunk @ inside), np.float64
    )


def _errors(
    vectors: Array, rows: Rows, projection: Array, values: Floats, basis: Floats, inside: Floats
) -> dict[float, float]:
    """The squared error of leaving out, summed over some thousand examples, for each ridge."""
    some = sample(len(rows), _CHUNK)
    turned = _hidden(vectors[some], projection) @ basis
    errors = {}
    for ridge in RIDGES:
        said = _without(turned, rows[some], values, inside, ridge)
        said[np.arange(len(some)), rows[some]] -= 1.0
        errors[ridge] = float((said**2).sum())
    return errors
