"""Separates vectors from texts and pictures."""

import os
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Vectors as rows, float32 (n, d); or a list of texts and pictures.
Inputs = NDArray[np.float32] | list[Any]


def contents_of(inputs: Any) -> list[Any] | None:
    """Returns texts and pictures as a list, or None for everything else, which is read as vectors.

    Args:
        inputs: A list, a one-dimensional array or a Series of texts or pictures; an array of pictures of shape
            `(n, height, width, 3)`; or anything that scikit-learn reads as a matrix.

    Raises:
        ValueError: If it is one text or one picture in place of a list.
    """
    if isinstance(inputs, str | bytes | bytearray | os.PathLike) or hasattr(inputs, "read") or _is_picture(inputs):
        raise ValueError(f"X is one input ({type(inputs).__name__}), not a list of inputs: pass [X]")
    if isinstance(inputs, list | tuple):
        items = list(inputs)
    elif getattr(inputs, "ndim", None) == 4:
        return list(inputs) or None
    elif getattr(inputs, "ndim", None) == 1:
        items = list(np.asarray(inputs, dtype=object))
    else:
        return None
    return items if items and not _is_row(items[0]) else None


def unit_vectors(vectors: Inputs) -> NDArray[np.float32]:
    """Scales rows to length 1. A row of zeros stays as it is, as in scikit-learn: its cosine to every vector is 0."""
    values = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(lengths > 0, lengths, 1.0), np.float32)


def _is_row(item: Any) -> bool:
    """Returns whether an item is a number or a row of numbers, and so a part of a matrix."""
    if isinstance(item, str | bytes | bytearray | memoryview):
        return False
    return isinstance(item, Number | list | tuple) or getattr(item, "ndim", 3) < 2


def _is_picture(value: Any) -> bool:
    """Returns whether a value is one picture: an array of shape (height, width, 3), or an image of Pillow."""
    return getattr(value, "ndim", None) == 3 or (hasattr(value, "mode") and hasattr(value, "getexif"))
