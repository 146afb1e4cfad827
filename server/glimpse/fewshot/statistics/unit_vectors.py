"""Directions: vectors of length 1."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
#: What is summed up and inverted.
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
#: Places of labels: rows of their means, columns of scores.
Rows = npt.NDArray[np.intp]


def sample(of: int | Rows, most: int) -> Rows:
    """At most so many of n places, or of these, ascending: always the same of the same, so that fits are too."""
    return np.sort(np.random.default_rng(0).permutation(of)[:most])


def normalize(vectors: Array) -> Array:
    """Rows scaled to length 1. (..., d) → (..., d). Raises ValueError on a row without direction."""
    values = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(values, axis=-1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError("a vector of length zero, NaN or infinity has no direction")
    return np.asarray(values / lengths, np.float32)


def mean_direction(vectors: Array) -> Array:
    """The renormalised mean of unit rows: (p, d) → (d,). A prompt ensemble, as in CLIP's zero-shot classifier."""
    return normalize(vectors.mean(axis=0))
