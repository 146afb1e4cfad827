"""A regression on attributes that add up: what a colour and a shape each change in a vector is the same for all things.

An input with the labels h in {0, 1}^C is modelled as

    x = m + B^T (h - p) + e,   e ~ N(0, S)

B are the effects of the labels, fitted by ridge regression of the vectors on the labels, so an effect that n examples
show is pulled to 0 by about n / (n + 3). S is the covariance of what is left, shrunk as in LDA. The score of a label is
the linear estimate of h with the least squared error (linear discriminant analysis for several attributes at once):

    f(x) = p (1 - p) B T^-1 (x - m),   T = S + B^T diag(p (1 - p)) B

Kernel ridge takes the variation by other labels for noise; this model explains it. `AttributeRegression` is the mean of
both. On things never enrolled, with 4 examples of each attribute, the log-loss of an attribute is 0.19 instead of 0.29
on scenes of 5 colours, 5 shapes and 3 fills, 0.30 instead of 0.39 on questions, and 0.43 instead of 0.40 on photographs
of animals (bench/results/attributes.md).

Everything is computed from the cosines between examples, because B and the rest are combinations of the examples: for
T = a I + X^T Q X, T^-1 X^T = X^T (a I + Q X X^T)^-1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.heads.kernel_ridge import KernelRidge
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: Leaving out each of N examples takes O(N⁴): some seconds for this many.
MOST_EXAMPLES = 200
# The prior strength of "no effect", in examples.
_RIDGE = 3.0


@dataclass(frozen=True, slots=True)
class AdditiveModel:
    """The model fitted to N examples. Scores are estimates of h - p.

    Attributes:
        vectors: `(N, d)`.
        weights: `(N, C)`, of the centred examples.
        centre: `(C,)`, the scores of the mean, to subtract.
        left_out: `(N, C)`, scores of each example without it.
    """

    vectors: Array
    weights: Floats
    centre: Floats
    left_out: Floats

    @classmethod
    def fit_targets(cls, vectors: Array, holds: Floats, groups: Rows | None = None) -> Self:
        """Fits the model. O(N⁴), N up to 200.

        Args:
            vectors: `(N, d)`, unit rows, each content once.
            holds: `(N, C)`, 1 where the input has the label, else 0.
            groups: `(N,)`, inputs with equal numbers are left out together; None: each alone.
        """
        cosines = np.asarray(vectors @ vectors.T, np.float64)
        weights, centre = _weights(cosines, holds, vectors.shape[1])
        # Without any other example, the estimate is the mean.
        members, left_out = np.arange(len(holds)) if groups is None else groups, np.zeros(holds.shape)
        for member in np.unique(members):
            if (out := members == member).all():
                break
            kept, centre_without = _weights(cosines[~out][:, ~out], holds[~out], vectors.shape[1])
            left_out[out] = cosines[out][:, ~out] @ kept - centre_without
        return cls(vectors, weights, centre, left_out)

    def scores(self, queries: Array) -> Array:
        """Scores queries: `(n, d)` → `(n, C)` float32."""
        return np.asarray((queries @ self.vectors.T) @ self.weights - self.centre, np.float32)


@dataclass(frozen=True, slots=True)
class AttributeRegression:
    """The mean of the additive model and kernel ridge, fitted to the same inputs.

    Attributes:
        additive: the additive model.
        ridge: kernel ridge.
        left_out: `(N, C)`, scores of each input without it.
    """

    additive: AdditiveModel
    ridge: KernelRidge
    left_out: Floats

    @classmethod
    def fit_targets(cls, vectors: Array, holds: Floats, groups: Rows | None = None) -> Self:
        """Fits both. The arguments are those of `AdditiveModel.fit_targets`."""
        additive = AdditiveModel.fit_targets(vectors, holds, groups)
        ridge = KernelRidge.fit_targets(vectors, holds, groups)
        return cls(additive, ridge, (additive.left_out + ridge.left_out) / 2)

    def scores(self, queries: Array) -> Array:
        """Scores queries: `(n, d)` → `(n, C)` float32."""
        return np.asarray((self.additive.scores(queries) + self.ridge.scores(queries)) / 2, np.float32)


def _weights(cosines: Floats, holds: Floats, dimension: int) -> tuple[Floats, Floats]:
    """Returns the weights of the examples, `(n, C)`, and the scores of their mean, `(C,)`.

    Args:
        cosines: `(n, n)`, of the examples with each other.
        holds: `(n, C)`.
        dimension: d.
    """
    count = len(cosines)
    middle = cosines - cosines.mean(0) - cosines.mean(1)[:, None] + cosines.mean()
    labels = holds - holds.mean(0)
    # B = effects^T X, and what is left of X is rest X.
    effects = np.linalg.solve(labels @ labels.T + _RIDGE * np.eye(count), labels)
    rest = np.eye(count) - labels @ effects.T
    freedom = max(count - 1 - float(np.sum(labels * effects)), 1.0)
    shrinkage = dimension / (dimension + freedom)
    spread = max(float(np.sum((rest @ middle) * rest)) / (freedom * dimension), 1e-9)
    rate = np.clip(holds.mean(0), 0.5 / count, 1 - 0.5 / count)
    variance = rate * (1 - rate)
    inner = (1 - shrinkage) / freedom * rest.T @ rest + (effects * variance) @ effects.T
    weights = np.linalg.solve(shrinkage * spread * np.eye(count) + inner @ middle, effects * variance)
    weights -= weights.mean(0)
    return weights, cosines.mean(0) @ weights
