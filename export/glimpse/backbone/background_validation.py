"""Checks a bundle's background.npy before anything of its declared size is allocated."""

import io
from pathlib import Path
from tokenize import TokenError

import numpy as np

from glimpse.backbone.errors import BundleError

#: The most vectors of a vocabulary: several times the packaged list.
MAX_VECTORS = 20_000
# Rows are of length 1; float16 rounds them.
_MAX_ROUNDING = 0.01
_TYPES = (np.dtype("<f2"), np.dtype("<f4"))


def check_background(file: Path, dimension: int) -> None:
    """Checks the type, the shape, the size and the values of a vocabulary.

    Args:
        file: the file, in NumPy's format.
        dimension: the length of the bundle's vectors.

    Raises:
        BundleError: the file is not a vocabulary of this dimension.
    """
    try:
        with file.open("rb") as stream:
            if np.lib.format.read_magic(stream) != (1, 0):
                raise BundleError(file, "is not a file of NumPy's format 1.0")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            start = stream.seek(0, io.SEEK_CUR)
    except (OSError, ValueError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        raise BundleError(file, f"cannot be read as a NumPy file: {error}") from error
    if dtype not in _TYPES or fortran:
        raise BundleError(file, f"has the type {dtype}{' in Fortran order' if fortran else ''}; expected float16 rows")
    if len(shape) != 2 or shape[1] != dimension or not 1 <= shape[0] <= MAX_VECTORS:
        raise BundleError(file, f"has the shape {shape}; expected 1 to {MAX_VECTORS} rows of {dimension} numbers")
    if file.stat().st_size != start + shape[0] * shape[1] * dtype.itemsize:
        raise BundleError(file, "has another size than its header declares")
    values = np.load(file, allow_pickle=False).astype(np.float32)
    lengths = np.linalg.norm(values, axis=1)
    if not (np.abs(lengths - 1) <= _MAX_ROUNDING).all():  # true for NaN too
        raise BundleError(file, "has rows that are not finite or not of length 1")
