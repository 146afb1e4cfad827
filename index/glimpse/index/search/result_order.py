"""The order of the results of a search."""

import numpy as np

from glimpse.index.types import Ids, Vectors


def ordered(cosines: Vectors, rows: Ids) -> tuple[Vectors, Ids]:
    """Sorts results by cosine, (n, k) each. Missing rows, -1, come last, even after a cosine of -1."""
    order = np.argsort(-np.where(rows < 0, -np.inf, cosines), axis=1, kind="stable")
    return np.take_along_axis(cosines, order, 1), np.take_along_axis(rows, order, 1)
