"""Coordinates in the span of a trial's examples, in which a classifier of few examples answers as in all d dimensions.

Every head but the random projection sees an input only through its inner products with examples and texts and through
its length. With n examples and texts, n < d, an orthonormal basis of their span gives these with n coordinates, and one
more for the distance from the span: 0 for examples, and for queries the length of what the basis leaves. The scatter
within labels is then n + 1 wide rather than d, and inverting it takes (n / d)³ of the time. What depends on d itself,
the shrinkage of the covariance, still uses d (`Examples.dimension`).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats

# Up to this part of d vectors the smaller inversions save more than the basis costs.
_MOST = 0.8


@dataclass(frozen=True, slots=True)
class Span:
    """An orthonormal basis of the span of some vectors, `(d, r)`; None if vectors are used as they are."""

    basis: Floats | None

    @classmethod
    def of(cls, vectors: Array, *, whole: bool = False) -> Self:
        """Finds the basis. O(d n²).

        Args:
            vectors: `(n, d)`.
            whole: True keeps the vectors as they are, as n near d also does.
        """
        count, dimension = vectors.shape
        if whole or not count or count > _MOST * dimension:
            return cls(None)
        return cls(np.asarray(np.linalg.qr(vectors.T.astype(np.float64))[0], np.float64))

    def coordinates(self, vectors: Array) -> Array:
        """Returns coordinates with the same inner products with the span and the same lengths: `(n, d)` → `(n, r + 1)`
        float32.
        """
        if self.basis is None:
            return vectors
        values = np.asarray(vectors, np.float64)
        inside = values @ self.basis
        left = np.einsum("nd,nd->n", values, values) - np.einsum("nr,nr->n", inside, inside)
        # Vectors of the span leave nothing but rounding.
        outside = np.sqrt(np.where(left > 1e-12, left, 0.0))
        return np.concatenate([inside, outside[:, None]], axis=1, dtype=np.float32, casting="same_kind")
