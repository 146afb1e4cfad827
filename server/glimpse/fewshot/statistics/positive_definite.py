"""The inverse of a symmetric positive definite matrix, by products of matrices in NumPy alone.

For A = L L^T, M = L^-1 has A^-1 = M^T M. M is found by halves:

    A = [[P, B^T], [B, Q]],   M_P of P,   K = B M_P^T,   M_Q of Q - K K^T,   M = [[M_P, 0], [-M_Q K M_P, M_Q]]

Nearly all of that is products of large matrices, which are the fastest operation of every BLAS. `numpy.linalg.inv` does
not use the symmetry and takes twice as long.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

Real = TypeVar("Real", np.float32, np.float64)

# Smaller blocks are inverted by LAPACK: products of smaller matrices are no faster.
_BLOCK = 96


def inverse(matrix: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Returns the inverse of a symmetric positive definite matrix, `(d, d)`: O(d³).

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite.
    """
    root = inverse_root(matrix)
    return root.T @ root


def inverse_root(matrix: npt.NDArray[Real]) -> npt.NDArray[Real]:
    """Returns M, lower triangular, with M^T M the inverse of a positive definite matrix: `(d, d)` → `(d, d)`.

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite.
    """
    root = np.zeros_like(matrix)
    _fill(root, matrix)
    return root


def _fill(root: npt.NDArray[Real], matrix: npt.NDArray[Real]) -> None:
    """Writes the inverse root of `matrix` into the lower triangle of `root`; the rest of it is 0."""
    half = len(matrix) // 2
    if len(matrix) <= _BLOCK:
        root[...] = np.tril(np.linalg.inv(np.linalg.cholesky(matrix)))
        return
    upper, lower = root[:half, :half], root[half:, half:]
    _fill(upper, matrix[:half, :half])
    across = matrix[half:, :half] @ upper.T
    _fill(lower, matrix[half:, half:] - across @ across.T)
    root[half:, :half] = -(lower @ across) @ upper
