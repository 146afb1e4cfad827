"""Expected costs: the answer is the label whose mistakes cost least on average (Elkan 2001).

With probabilities p and the cost c(t, a) of answering a where t is the truth, the expected cost of a is the sum over
all other labels t of p_t c(t, a). A mistake without a cost of its own costs 1, so without any costs the expected cost
is 1 - p_a, and the most probable label has the least. The probabilities are those of the labels alone: a background
that competes with them costs nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Floats, Mask, Rows

#: The cost of each mistake, by the true label and the answered label.
MistakeCosts = Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class ExpectedCosts:
    """The answers of n queries by expected cost.

    Attributes:
        answers: `(n,)`, the columns of the answers.
        costs: `(n,)`, their expected costs.
        serious: `(n, C)`, the other labels of which a mistake costs 1 or more: it is one to answer the answer for them.
    """

    answers: Rows
    costs: Floats
    serious: Mask

    @classmethod
    def of(
        cls, probabilities: Floats, rows: Rows, place: Callable[[str], int | None], mistake_costs: MistakeCosts
    ) -> Self:
        """Selects the labels of least expected cost; of equal ones, the most probable.

        Args:
            probabilities: `(n, C)`, or `(n, k)` of candidates.
            rows: the rows of these labels, in the same shape; -1 for none.
            place: returns the row of a label, or None if it cannot score.
            mistake_costs: the costs, at least 0. Labels that cannot score and pairs of one label have no effect.
        """
        pairs = [(place(truth), place(answer), cost - 1) for (truth, answer), cost in mistake_costs.items()]
        known = [pair for pair in pairs if None not in pair and pair[0] != pair[1]]
        named = np.unique(np.array([pair[:2] for pair in known], np.intp))
        truths, answered = (np.searchsorted(named, np.array([pair[k] for pair in known], np.intp)) for k in (0, 1))
        excess = np.array([pair[2] for pair in known], np.float64)
        codes = _codes(named, rows)
        each = np.arange(len(rows))
        # The last column stands for all labels without a cost of their own.
        share = np.zeros((len(rows), len(named) + 1))
        share[each[:, None], codes] = probabilities
        added = np.zeros_like(share)
        np.add.at(added.T, answered, (share[:, truths] * excess).T)
        # Rounding must not make certainty pay.
        costs = np.maximum(1 - probabilities + added[each[:, None], codes], 0.0)
        costs[rows < 0] = np.inf
        answers = np.where(costs <= costs.min(1, keepdims=True) + 1e-12, probabilities, -1.0).argmax(1)
        cheap = np.zeros(share.shape, np.bool_)
        query, pair = np.nonzero((answered == codes[each, answers][:, None]) & (excess < 0))
        cheap[query, truths[pair]] = True
        serious = ~cheap[each[:, None], codes]
        serious[each, answers] = False
        return cls(answers, costs[each, answers], serious)

    def answers_first(self, best: Rows) -> Rows:
        """Moves each answer to the front of the columns of the best scores, `(n, k)` → `(n, k)`."""
        others = np.take_along_axis(best, (best == self.answers[:, None]).argsort(1, kind="stable"), 1)
        return np.column_stack([self.answers, others])[:, : best.shape[1]]


def _codes(named: Rows, rows: Rows) -> Rows:
    """Returns the place of each row in `named`, which is ascending, or `len(named)` if it is not there."""
    codes = np.searchsorted(named, rows)
    if not len(named):
        return codes
    return np.where(named[np.minimum(codes, len(named) - 1)] == rows, codes, len(named))
