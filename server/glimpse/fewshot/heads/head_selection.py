"""Selects the head that answers, by the number of shots and by leave-one-out.

Without a label with two examples there is no spread within labels to learn: the class mean answers, or the prompts
do. From then on LDA answers. Under 8 shots nothing is chosen by leave-one-out: at 4 shots it picked the class mean
and lost 3 points. Where every label has 8 examples, kernel ridge joined with LDA, or projected ridge, replaces LDA if
it is better by more than one standard error of the paired difference (Breiman et al. 1984). Where the median label
had 8 and half of the labels 1, 2 or 4, kernel ridge cost 9 to 15 points of balanced accuracy on TREC. Leave-one-out
ranked two heads as new inputs did in 17 of 19 comparisons (banking77, sign_digits and caltech101 at 8 to 70 shots);
the other two were at 8.
"""

from enum import Enum

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: Examples of the smallest label from which heads are compared, and median shots from which projected ridge is one of
#: them.
MIN_SHOTS_TO_COMPARE, MANY_SHOTS = 8, 30


class HeadKind(Enum):
    """The kinds of heads."""

    NONE = "none"
    CLASS_MEAN = "class_mean"
    PROMPTS = "prompts"
    CLASS_MEAN_AND_PROMPTS = "class_mean_and_prompts"
    LDA = "lda"
    LDA_AND_PROMPTS = "lda_and_prompts"
    KERNEL_RIDGE = "kernel_ridge"
    PROJECTED_RIDGE = "projected_ridge"
    NEIGHBORS = "neighbors"


#: Heads that a collection can ask for instead of the selected one; prompts are blended in if labels have them.
PINNABLE = (
    HeadKind.CLASS_MEAN,
    HeadKind.PROMPTS,
    HeadKind.LDA,
    HeadKind.KERNEL_RIDGE,
    HeadKind.PROJECTED_RIDGE,
    HeadKind.NEIGHBORS,
)


def median_shots(counts: Floats) -> float:
    """Returns the median number of examples of the labels that have any: counts `(C,)` → float; 0 if none has."""
    positive = counts[counts > 0]
    return float(np.median(positive)) if len(positive) else 0.0


def is_better(challenger: Array | Floats, incumbent: Array | Floats, rows: Rows) -> bool:
    """Returns whether a head is better than another by more than one standard error of the paired difference.

    Args:
        challenger: `(N, C)`, its leave-one-out scores.
        incumbent: `(N, C)`, the other head's.
        rows: `(N,)`, the columns of the right labels.
    """
    return is_better_prediction(challenger.argmax(1), incumbent.argmax(1), rows)


def is_better_prediction(challenger: Rows, incumbent: Rows, rows: Rows) -> bool:
    """Compares like `is_better`, from the predicted columns, `(N,)` each."""
    gain = (challenger == rows).astype(np.float64) - (incumbent == rows)
    if len(gain) < 2:
        return False
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))
