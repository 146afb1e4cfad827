"""Unit vectors and array types."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
#: For sums and inverses.
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: Positions of labels: rows of their means, columns of scores.
Rows = npt.NDArray[np.intp]


def sample(of: int | Rows, most: int) -> Rows:
    """Returns at most `most` of the numbers below `of`, or of the entries of `of`, ascending.

    The choice is fixed, so that fits of the same examples are the same.
    """
    return np.sort(np.random.default_rng(0).permutation(of)[:most])


def normalize(vectors: Array) -> Array:
    """Scales rows to length 1: `(..., d)` → `(..., d)` float32. Raises ValueError if a row is zero or not finite."""
    values = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError("a vector of length zero, NaN or infinity has no direction")
    return np.asarray(values / lengths, np.float32)


def mean_direction(vectors: Array) -> Array:
    """Returns the renormalised mean of unit rows, `(p, d)` → `(d,)`: a prompt ensemble (Radford et al. 2021)."""
    return normalize(vectors.mean(axis=0))
