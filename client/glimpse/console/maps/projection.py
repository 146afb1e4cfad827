"""Two coordinates for each vector."""

from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MIN_UMAP_POINTS = 10
_NEIGHBORS = 15


def has_umap() -> bool:
    """Returns whether the extra `map` is installed."""
    return find_spec("umap") is not None


def pca(vectors: Floats) -> tuple[Floats, tuple[float, float]]:
    """Projects vectors on the two directions in which they vary most.

    Args:
        vectors: The vectors, of shape `(n, d)`, with n of 1 or more.

    Returns:
        The coordinates, of shape `(n, 2)`, and the share of the variance along each of the two directions. The sign of
        a direction makes its largest component positive, so that the same vectors give the same map.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    count, dimension = centred.shape
    # The eigenvectors of the smaller of the two products of the matrix with itself give the same projection.
    if count < dimension:
        values, left = np.linalg.eigh((centred @ centred.T).astype(np.float64))
        directions = centred.T.astype(np.float64) @ left[:, ::-1][:, :2]
    else:
        values, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        directions = directions[:, ::-1][:, :2]
    lengths = np.linalg.norm(directions, axis=0)
    directions = directions / np.where(lengths > 0, lengths, 1)
    largest = np.abs(directions).argmax(axis=0)
    signs = np.sign(directions[largest, np.arange(directions.shape[1])])
    points = np.zeros((count, 2), np.float32)
    points[:, : directions.shape[1]] = centred @ (directions * signs).astype(np.float32)
    return points, _shares(values)


def _shares(values: NDArray[np.float64]) -> tuple[float, float]:
    variances = np.maximum(values[::-1], 0)
    total = variances.sum()
    shares = np.zeros(2)
    if total > 0:
        shares[: min(2, len(variances))] = (variances / total)[:2]
    return float(shares[0]), float(shares[1])


def umap(vectors: Floats) -> Floats:
    """Places vectors so that neighbours by cosine stay neighbours. Distances between groups mean little.

    Args:
        vectors: The vectors, of shape `(n, d)`, with n of MIN_UMAP_POINTS or more.

    Returns:
        The coordinates, of shape `(n, 2)`. The same vectors give the same map.

    Raises:
        ModuleNotFoundError: If the extra `map` is not installed.
    """
    from umap import UMAP

    neighbors = min(_NEIGHBORS, len(vectors) - 1)
    # A seed makes UMAP run on one thread, which also leaves the other cores to the console.
    reducer = UMAP(n_components=2, n_neighbors=neighbors, min_dist=0.1, metric="cosine", random_state=0, n_jobs=1)
    points: Floats = np.asarray(reducer.fit_transform(vectors), np.float32)
    return points
