"""Tests the inverse of positive definite matrices against LAPACK's."""

import numpy as np
import pytest

from glimpse.fewshot.statistics.positive_definite import inverse, inverse_root


@pytest.mark.parametrize("side", [1, 2, 96, 97, 193, 350])
def test_the_inverse_equals_that_of_lapack(side: int) -> None:
    half = np.random.default_rng(side).normal(size=(side, side))
    matrix = half @ half.T + np.eye(side)
    before = matrix.copy()
    root = inverse_root(matrix)
    np.testing.assert_array_equal(root, np.tril(root))
    np.testing.assert_allclose(root.T @ root @ matrix, np.eye(side), atol=1e-9)
    np.testing.assert_allclose(inverse(matrix), np.linalg.inv(matrix), atol=1e-10)
    np.testing.assert_array_equal(matrix, before)
    single = inverse(matrix.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, np.linalg.inv(matrix), atol=2e-3)


def test_a_matrix_that_is_not_positive_definite_is_an_error() -> None:
    matrix = np.eye(200)
    matrix[150, 150] = -1
    with pytest.raises(np.linalg.LinAlgError):
        inverse(matrix)
