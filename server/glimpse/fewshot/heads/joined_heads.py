"""LDA and kernel ridge together: their log-probabilities added.

    s_c(x) = log softmax(LDA(x) / T_lda)_c + log softmax(f(x) / T_ridge)_c

Each temperature comes from the head's own left-out scores; the sum gets one of its own afterwards, like every head. A
product of experts (Hinton 2002) with equal weights: LDA has the spread within labels, the kernel what is not Gaussian.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.calibration.calibration import best_temperature
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.heads.kernel_ridge import KernelRidge
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

# The least probability of one head; without a bound it could veto the other.
_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class JoinedHeads:
    """LDA and kernel ridge. `lda` must be the head as it was fitted, without later examples."""

    lda: LdaHead
    ridge: KernelRidge
    temperatures: tuple[float, float]

    @classmethod
    def of(cls, lda: LdaHead, lda_left_out: Floats, ridge: KernelRidge, some: Rows, rows: Rows) -> Self:
        """Finds both temperatures.

        Args:
            lda: LDA.
            lda_left_out: `(n, C)`, its scores of examples left out.
            ridge: kernel ridge.
            some: `(n,)`, these examples' places among those of kernel ridge.
            rows: `(n,)`, the columns of their labels.
        """
        return cls(lda, ridge, (best_temperature(lda_left_out, rows), best_temperature(ridge.left_out[some], rows)))

    def scores(self, queries: Array) -> Array:
        """Scores queries: `(n, d)` → `(n, C)` float32."""
        return self.joined(self.lda.scores(queries), self.ridge.scores(queries)).astype(np.float32)

    def joined(self, lda: Array | Floats, ridge: Array | Floats) -> Floats:
        """Joins both heads' scores of the same inputs: `(n, C)` twice → `(n, C)`."""
        parts = zip((lda, ridge), self.temperatures, strict=True)
        logs = [np.log(np.maximum(softmax(scores, 1 / temperature), _LEAST)) for scores, temperature in parts]
        return np.asarray(logs[0] + logs[1], np.float64)
