"""Builds indexes of vectors."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glimpse.index import Header, VectorType, rows_table, write_index

Array = npt.NDArray[np.float32]


def make_index(
    out: Path,
    space: str,
    vectors: Array,
    labels: Sequence[str | None],
    *,
    domains: Sequence[str | None] | None = None,
    factory: str | None = None,
    vector_type: VectorType = "float32",
) -> Path:
    """Builds an index whose row i has the id `set/i` and the source `set/i.jpg`. By default its size sets `factory`."""
    count, dimension = vectors.shape
    table = rows_table(
        [f"set/{row}" for row in range(count)],
        labels,
        domains or [None] * count,
        [f"set/{row}.jpg" for row in range(count)],
        [hashlib.sha256(vector.tobytes()).digest() for vector in vectors],
        vectors,
        vector_type,
    )
    header = Header(backbone="tiny", embedding_space=space, dimension=dimension, vector_type=vector_type)
    write_index(out, [table], header, factory=factory, threads=1)
    return out
