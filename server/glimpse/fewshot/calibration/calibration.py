"""Temperature by leave-one-out log-loss, prediction sets by leave-one-out probabilities, odds of single labels.

The loss is that of softmax against smoothed targets, (N + 1) / (N + 2) for the right label and the rest spread over the
others (Platt 1999), so that few examples that are all told apart do not promise certainty.
"""

import math

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_COLDEST, _HOTTEST = np.log(1e-4), np.log(1e4)
# The section is narrowed to a hundredth of a unit of log temperature.
_STEPS = 16
_GOLDEN = (5**0.5 - 1) / 2


def log_loss(scores: npt.ArrayLike, rows: Rows) -> float:
    """Mean over the examples that a label other than themselves' alone can answer for: (N, C), (N,)."""
    values = np.asarray(scores, np.float64)
    known = np.isfinite(values[np.arange(len(rows)), rows])
    values, rows = values[known], rows[known]
    count, labels = values.shape
    if not count or labels < 2:
        return 0.0
    values = values - values.max(1, keepdims=True)
    logs = values - np.log(np.exp(values).sum(1, keepdims=True))
    right = logs[np.arange(count), rows]
    # A label without another example has no score; it takes no part.
    there = np.isfinite(logs)
    others = (np.where(there, logs, 0.0).sum(1) - right) / np.maximum(there.sum(1) - 1, 1)
    smooth = 1.0 / (count + 2)
    return float(-((1 - smooth) * right + smooth * others).mean())


def best_temperature(scores: npt.ArrayLike, rows: Rows) -> float:
    """The T for which softmax(scores / T) has the least log-loss, which has one minimum: by golden section.

    1 where there is nothing to tell apart.
    """
    values = np.asarray(scores, np.float64)
    unit = float(values[np.isfinite(values)].std()) if np.isfinite(values).any() else 0.0
    if unit == 0.0 or values.shape[1] < 2:
        return 1.0

    def loss(log_temperature: float) -> float:
        return log_loss(values / (unit * np.exp(log_temperature)), rows)

    low, high = float(_COLDEST), float(_HOTTEST)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(_STEPS):
        if at_left < at_right:  # where they are the same, warmer: less sure
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return unit * float(np.exp((low + high) / 2))


def set_floor(right: Floats, coverage: float) -> float | None:
    """The probability from which on a label is in the prediction set; None: too few examples for that coverage.

    `right`: what the left-out examples' own labels were given, ascending, (N,). Least ambiguous sets (Sadinle et al.
    2019), split-free: leaving out takes the place of a calibration set, which promises the coverage in the long run of
    examples like these, and no more.
    """
    needed = math.ceil((len(right) + 1) * coverage - 1e-9)
    return float(right[len(right) - needed]) if needed <= len(right) else None


def logistic(values: Floats, holds: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """a > 0 and b so that 1 / (1 + exp(-(a v + b))) is how often what has value v, (n,), holds (Platt 1999)."""
    positive, negative = int(holds.sum()), int((~holds).sum())
    middle, unit = float(np.median(values)), max(float(values.std()), 1e-9)
    scaled = (values - middle) / unit
    target = np.where(holds, (positive + 1) / (positive + 2), 1 / (negative + 2))
    a, b = 1.0, float(np.log((positive + 1) / (negative + 1)))
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(a * scaled + b, -500, 500)))
        gap, weight = p - target, np.maximum(p * (1 - p), 1e-9)
        gradient = np.array([gap @ scaled, gap.sum()])
        curve = np.array([[weight @ scaled**2, weight @ scaled], [weight @ scaled, weight.sum()]])
        step = np.linalg.solve(curve + 1e-6 * len(values) * np.eye(2), gradient)
        length = float(np.abs(step).max())
        a, b = a - step[0] / max(length, 1.0), b - step[1] / max(length, 1.0)
        if length < 1e-6:
            break
    a = max(a, 1e-6)
    return a / unit, b - a * middle / unit
