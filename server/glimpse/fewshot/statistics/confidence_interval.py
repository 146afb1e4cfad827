"""Parts of a number of examples, and how sure one may be of them."""

import math


def wilson_interval(right: int, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion, by Wilson's score (1927): sane at 0, at 1 and of few. count > 0."""
    part, spread = right / count, z * z / count
    middle = (part + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(part * (1 - part) / count + spread / (4 * count))
    return max(0.0, middle - half), min(1.0, middle + half)
