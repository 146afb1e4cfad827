"""The inverse of a symmetric positive definite matrix, by products of matrices in NumPy alone.

With A = L L^T the inverse is M^T M with M = L^-1. M is lower triangular, and is found by halves: the inverse of [[A, 0],
[B, C]] is [[A^-1, 0], [-C^-1 B A^-1, C^-1]]. `numpy.linalg.inv` knows nothing of symmetry and takes twice as long.
"""

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Floats

# Smaller blocks are inverted as they are: products of smaller matrices are no faster.
_BLOCK = 64


def inverse(matrix: Floats) -> Floats:
    """Returns the inverse of a symmetric positive definite matrix, `(d, d)`: O(d³).

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite.
    """
    root = inverse_root(matrix)
    return np.asarray(root.T @ root, np.float64)


def inverse_root(matrix: Floats) -> Floats:
    """Returns M, lower triangular, with M^T M the inverse of a positive definite matrix: `(d, d)` → `(d, d)`.

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite.
    """
    root = np.linalg.cholesky(matrix)
    _invert_triangle(root)
    return np.asarray(root, np.float64)


def _invert_triangle(lower: Floats) -> None:
    """Replaces a lower triangular matrix, `(d, d)`, by its inverse."""
    half = len(lower) // 2
    if len(lower) <= _BLOCK:
        lower[...] = np.tril(np.linalg.inv(lower))
        return
    _invert_triangle(lower[:half, :half])
    _invert_triangle(lower[half:, half:])
    lower[half:, :half] = -(lower[half:, half:] @ lower[half:, :half]) @ lower[:half, :half]
