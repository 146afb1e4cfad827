"""Combines the views of one thing to one answer."""

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows


def pool_views(scores: Array, probabilities: Floats | None, things: Rows) -> Array:
    """Gives each thing the mean of its views' scores, each view weighted by how sure it is.

    A head's probabilities are softmax(scores / T), so that the mean of scores is a logarithmic opinion pool of the
    views' probabilities (Genest and Zidek 1986). Its weights add up to 1 and not to the number of views: views of one
    thing depend on each other, and a product of their probabilities would count the same evidence several times. A
    view's weight is the inverse of its effective number of labels, exp(-H), with H the entropy of its probabilities
    (Hill 1973): a view that shows little of the thing leaves many labels open, and the pool is as sure as the views
    that show it. docs/methods.md has what was compared.

    Args:
        scores: `(n + m, C)`, the scores of n things and then of m views.
        probabilities: `(n + m, C)`, their probabilities of exclusive labels; None weights all views equally.
        things: `(m,)`, for each view the row of its thing, below n.

    Returns:
        The scores, `(n + m, C)`, with those of the things that have views replaced.
    """
    count = len(scores) - len(things)
    weights = np.ones(len(things))
    if probabilities is not None:
        values = probabilities[count:]
        weights = np.exp((values * np.log(np.maximum(values, np.finfo(np.float64).tiny))).sum(1))
    weights /= np.bincount(things, weights, count)[things]
    pooled = np.zeros((count, scores.shape[1]))
    np.add.at(pooled, things, weights[:, None] * scores[count:])
    result = scores.copy()
    shown = np.bincount(things, minlength=count) > 0
    result[:count][shown] = pooled[shown]
    return result
