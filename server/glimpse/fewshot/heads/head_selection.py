"""Which head answers: the ladder of shots, and leave-one-out where it can tell.

Without a label of two examples there is no spread within labels to learn: the class mean answers, or the prompts do.
From then on LDA does. Under 8 shots nothing is chosen by leave-one-out: at 4 it picked the class mean and lost 3
points. From there on a regression takes LDA's place where it is better by more than one standard error (Breiman et al.
1984). Leaving out ranked two heads as new inputs did in 17 of 19 comparisons (banking77, sign_digits and caltech101 at
8 to 70 shots); the other two were at 8.
"""

from enum import Enum

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

#: Shots, in the middle label, from which on heads are compared; and from which on projected ridge is one of them.
MIN_SHOTS_TO_COMPARE, MANY_SHOTS = 8, 30


class HeadKind(Enum):
    """The heads there are."""

    NONE = "none"
    CLASS_MEAN = "class_mean"
    PROMPTS = "prompts"
    CLASS_MEAN_AND_PROMPTS = "class_mean_and_prompts"
    LDA = "lda"
    LDA_AND_PROMPTS = "lda_and_prompts"
    KERNEL_RIDGE = "kernel_ridge"
    PROJECTED_RIDGE = "projected_ridge"
    NEIGHBORS = "neighbors"


#: What can be asked for instead of the ladder's choice; prompts join in where labels have some.
PINNABLE = (
    HeadKind.CLASS_MEAN,
    HeadKind.PROMPTS,
    HeadKind.LDA,
    HeadKind.KERNEL_RIDGE,
    HeadKind.PROJECTED_RIDGE,
    HeadKind.NEIGHBORS,
)


def median_shots(counts: Floats) -> float:
    """The median number of examples of the labels that have any, (C,); 0 where none has."""
    some = counts[counts > 0]
    return float(np.median(some)) if len(some) else 0.0


def is_better(challenger: Array | Floats, incumbent: Array | Floats, rows: Rows) -> bool:
    """Whether a head beats another by more than a standard error of the difference, from left-out scores (N, C)."""
    return is_better_prediction(challenger.argmax(1), incumbent.argmax(1), rows)


def is_better_prediction(challenger: Rows, incumbent: Rows, rows: Rows) -> bool:
    """The same, from the columns that each answered, (N,)."""
    right = (challenger == rows).astype(np.float64) - (incumbent == rows)
    if len(right) < 2:
        return False
    return bool(right.mean() > right.std(ddof=1) / np.sqrt(len(right)))
