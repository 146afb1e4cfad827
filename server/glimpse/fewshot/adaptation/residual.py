"""A residual layer y = (x + x W) / |x + x W| on frozen embeddings x, in closed form and without a validation set.

W shrinks the directions in which examples of one label differ: I + W is, up to a factor that the length takes out,

    ((1 - λ) S / t + λ I)^(-1/2),   λ = s d / (s d + ν)

with S the scatter within labels over its ν = N - C degrees of freedom, t its mean eigenvalue, and s the strength. So
the layer is pulled towards the frozen weights, W = 0, with about 1 / N: the fewer examples, the nearer to them. That is
the rule of ProLIP (Fahes et al. 2024, arXiv 2410.05270), which trains the last projection of CLIP with |W|² / N and so
needs no validation set; at s = 1 it is the shrinkage of LDA. Hatch, Kajarekar and Stolcke 2006 have the same map for
speakers (within-class covariance normalisation). LDA alone would gain nothing from a linear map. What follows sees
vectors that are scaled to length 1 after it: class means, neighbours, kernel ridge, and labels that come later.

Cross-entropy in 40 steps of Adam with |W|² / N was tried first. On TREC at 16 and 64 examples a label (2 draws, the
head that Glimpse chooses) it gave 59.8 and 74.3 %, this form 62.6 and 76.8 %, and frozen embeddings 63.3 and 75.3 %.
"""

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

# Directions with less than this part of the greatest scatter are rounding.
_ROUNDING = 1e-9


def train_residual(vectors: Array, rows: Rows, strength: float = 1.0) -> tuple[Array, ...]:
    """Trains the layer. O(N d min(N, d)).

    Args:
        vectors: `(N, d)`, unit rows: the frozen embeddings of the examples.
        rows: `(N,)`, their labels.
        strength: how much the layer is pulled towards the frozen weights, greater than 0.

    Returns:
        W as two matrices, `(d, r)` and `(r, d)`, or as one, `(d, d)`, if that is smaller.

    Raises:
        ValueError: no label has two examples that differ.
    """
    dimension = vectors.shape[1]
    labels, own = np.unique(rows, return_inverse=True)
    means = np.zeros((len(labels), dimension))
    np.add.at(means, own, vectors)
    means /= np.bincount(own)[:, None]
    scatter, directions = _principal(vectors - means[own])
    freedom = len(rows) - len(labels)
    if not len(scatter) or not freedom:
        raise ValueError("no label has two examples that differ")
    pull = strength * dimension / (strength * dimension + freedom)
    relative = scatter * dimension / scatter.sum()
    change = np.sqrt(pull / ((1 - pull) * relative + pull)) - 1
    shrunk = directions * change  # (d, r)
    if 2 * len(change) < dimension:
        return shrunk.astype(np.float32), directions.T.astype(np.float32)
    return ((shrunk @ directions.T).astype(np.float32),)


def _principal(residuals: Floats) -> tuple[Floats, Floats]:
    """Returns the positive eigenvalues of R^T R, `(r,)`, and their directions, `(d, r)`, for residuals R, `(N, d)`."""
    count, dimension = residuals.shape
    if count < dimension:
        values, left = np.linalg.eigh(residuals @ residuals.T)
        kept = values > _ROUNDING * values[-1]
        return values[kept], residuals.T @ left[:, kept] / np.sqrt(values[kept])
    values, directions = np.linalg.eigh(residuals.T @ residuals)
    kept = values > _ROUNDING * values[-1]
    return values[kept], directions[:, kept]
