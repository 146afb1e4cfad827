"""When a regression takes the place of LDA: by shots and by leave-one-out.

Under 8 shots nothing is chosen by leave-one-out: at 4 it picked the class mean and lost 3 points. From there on a
regression takes LDA's place where it is better by more than one standard error (Breiman et al. 1984). Leaving out
ranked two heads as new inputs did in 17 of 19 comparisons (banking77, sign_digits and caltech101 at 8 to 70 shots);
the other two were at 8.
"""

import numpy as np

from glimpse.fewshot.vectors import Array, Floats, Rows

#: Shots, in the middle label, from which on heads are compared.
COMPARED_FROM = 8


def middle_shots(counts: Floats) -> float:
    """The median number of examples of the labels that have any, (C,); 0 where none has."""
    some = counts[counts > 0]
    return float(np.median(some)) if len(some) else 0.0


def better(challenger: Array, incumbent: Array, rows: Rows) -> bool:
    """Whether a head beats another by more than a standard error of the difference, from left-out scores (N, C)."""
    right = (challenger.argmax(1) == rows).astype(np.float64) - (incumbent.argmax(1) == rows)
    if len(right) < 2:
        return False
    return bool(right.mean() > right.std(ddof=1) / np.sqrt(len(right)))
