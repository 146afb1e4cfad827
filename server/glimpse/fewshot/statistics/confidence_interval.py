"""Confidence intervals of proportions."""

import math


def wilson_interval(right: float, count: float, z: float = 1.959964) -> tuple[float, float]:
    """Returns Wilson's score interval of a proportion (Wilson 1927); it stays within [0, 1] for few trials.

        (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)

    Args:
        right: successes; a fraction of an effective number of trials need not be a whole number.
        count: trials n, greater than 0, or the effective number of them.
        z: normal quantile; the default is for 95 %.
    """
    part, spread = right / count, z * z / count
    middle = (part + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(part * (1 - part) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_difference_interval(gained: int, lost: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """Returns the interval of a difference of two proportions that were measured on the same trials.

    Agresti and Min 2005 ("Simple improved confidence intervals for comparing matched proportions"): half a trial is
    added to each of the four cells. With n = count + 2 and b, c = gained, lost + 1/2:

        ((b - c) ± z sqrt(b + c - (b - c)² / n)) / n

    Args:
        gained: trials that succeed the second time alone.
        lost: trials that succeed the first time alone.
        count: all trials, greater than 0.
        z: normal quantile; the default is for 95 %.
    """
    more, trials = gained - lost, count + 2
    half = z * math.sqrt(gained + lost + 1 - more * more / trials) / trials
    return max(-1.0, more / trials - half), min(1.0, more / trials + half)
