"""The map of one collection. `make_layout` runs in a process of its own."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from glimpse.console.maps.fit import Codes, Fit, measure_fit
from glimpse.console.maps.projection import Floats, pca, umap

Coordinates = NDArray[np.uint16]

_LARGEST = np.iinfo(np.uint16).max


class Method(StrEnum):
    """A way from vectors to two coordinates."""

    PCA = "PCA"
    UMAP = "UMAP"


@dataclass(frozen=True, slots=True)
class Layout:
    """The map of n examples of L labels.

    Attributes:
        method: How the coordinates were made.
        points: Coordinates of each example, of shape `(n, 2)`, x and then y, from the left and the bottom. They fill
            the range of 16 bits along the longer side, and keep the proportions.
        shares: Shares of the variance along x and y. None: UMAP has none.
        labels: The ids of the labels, ordered.
        codes: The label of each example, of shape `(n,)`, as a position in `labels`.
        fit: How well the examples fit their labels.
    """

    method: Method
    points: Coordinates
    shares: tuple[float, float] | None
    labels: tuple[str, ...]
    codes: Codes
    fit: Fit


def make_layout(vectors: Floats, labels: tuple[str, ...], no_classes: Collection[str], method: Method) -> Layout:
    """Computes a map.

    Args:
        vectors: Unit vectors, of shape `(n, d)`, with n of 1 or more.
        labels: The label of each.
        no_classes: Labels that cannot be an answer, such as negative ones.
        method: How vectors become coordinates.

    Raises:
        ModuleNotFoundError: If the method is UMAP, and the extra `map` is not installed.
    """
    names, inverse = np.unique(np.array(labels, dtype=object), return_inverse=True)
    codes: Codes = inverse.astype(np.int32)
    # A row of an index may have no label.
    classes = np.array([bool(name) and name not in no_classes for name in names])
    points, shares = (umap(vectors), None) if method is Method.UMAP else pca(vectors)
    return Layout(method, to_coordinates(points), shares, tuple(names), codes, measure_fit(vectors, codes, classes))


def to_coordinates(points: Floats) -> Coordinates:
    """Scales points, of shape `(n, 2)`, to 16 bits, with the same scale for both axes, centred."""
    low, high = points.min(axis=0), points.max(axis=0)
    size = float((high - low).max()) or 1.0
    centred = (points - (low + high) / 2) / size + 0.5
    scaled: Coordinates = np.clip(np.rint(centred * _LARGEST), 0, _LARGEST).astype(np.uint16)
    return scaled
