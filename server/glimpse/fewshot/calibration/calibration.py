"""Temperature by leave-one-out log-loss, prediction sets by leave-one-out probabilities, and Platt's logistic curve.

The log-loss uses smoothed targets: (N + 1/2) / (N + 1) for the right label and the rest spread evenly over the others.
That is the estimate of a proportion under Jeffreys' prior (Krichevsky and Trofimov 1981). Without it, few examples that
are all classified correctly would promise certainty. Platt's (N + 1) / (N + 2) promises too little: the expected
calibration error of LDA at 2, 4 and 8 shots, mean of 8 sets, is 10.6, 7.0 and 5.7 % with it, 10.3, 6.5 and 5.3 % with
this one.
"""

import math

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_COLDEST, _HOTTEST = np.log(1e-4), np.log(1e4)
# Golden-section steps; they narrow the interval to a hundredth of a unit of log temperature.
_STEPS = 16
_GOLDEN = (5**0.5 - 1) / 2


def log_loss(scores: npt.ArrayLike, rows: Rows) -> float:
    """Returns the mean smoothed log-loss of softmax(scores).

    An example without a finite score for its own label is left out: only that label could answer for it.

    Args:
        scores: `(N, C)`; -inf for a label that cannot score.
        rows: `(N,)`, the columns of the right labels.
    """
    values = np.asarray(scores, np.float64)
    known = np.isfinite(values[np.arange(len(rows)), rows])
    values, rows = values[known], rows[known]
    count, labels = values.shape
    if not count or labels < 2:
        return 0.0
    values = values - values.max(1, keepdims=True)
    logs = values - np.log(np.exp(values).sum(1, keepdims=True))
    right = logs[np.arange(count), rows]
    # A label whose only example is left out has no score and takes no part.
    scored = np.isfinite(logs)
    others = (np.where(scored, logs, 0.0).sum(1) - right) / np.maximum(scored.sum(1) - 1, 1)
    smooth = 0.5 / (count + 1)
    return float(-((1 - smooth) * right + smooth * others).mean())


def best_temperature(scores: npt.ArrayLike, rows: Rows) -> float:
    """Returns the T > 0 for which softmax(scores / T) has the least log-loss (temperature scaling, Guo et al. 2017).

    The loss has one minimum in T; a golden-section search finds it.

    Args:
        scores: `(N, C)` leave-one-out scores; -inf for a label that cannot score.
        rows: `(N,)`, the columns of the right labels.

    Returns:
        The temperature; 1 if all scores are equal or there is one label.
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
        if at_left < at_right:  # on a tie prefer the higher temperature, which is less certain
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return unit * float(np.exp((low + high) / 2))


def growth(shots: Floats, left_out: Floats) -> float:
    """Returns the factor from the temperature of examples left out to that of new inputs, in (0, 1].

    A score is as noisy as the means that it rests on. An example left out is scored by a mean of m of its label's n
    shots, a new input by all of them, which scales the noise, and with it T, by sqrt(m / n). This does not hold for
    LDA's centres without text, which are posterior means: with the factor their ECE at 2, 4 and 8 shots, mean of 8
    sets, is 13.7, 6.7 and 4.9 %, without it 10.0, 6.7 and 4.9 %. With text it is 8.1 % with the factor at 2 shots.

    Args:
        shots: `(N,)`, the shots of the examples' labels.
        left_out: `(N,)`, the number of them that are left out with each example.
    """
    kept = (shots - left_out)[shots > left_out]
    return float(np.sqrt(np.mean(kept / shots[shots > left_out]))) if len(kept) else 1.0


def set_floor(right: Floats, coverage: float) -> float | None:
    """Returns the least probability at which a label enters the prediction set (LAC, Sadinle et al. 2019).

    The floor is the probability ranked ceil((N + 1) coverage) from the top. Leave-one-out probabilities replace a
    separate calibration set, so coverage holds on average for examples like these; there is no finite-sample guarantee.

    Args:
        right: `(N,)`, leave-one-out probabilities of the examples' own labels, ascending.
        coverage: the target rate at which the set contains the right label.

    Returns:
        The floor, or None if the examples are too few for that coverage (N < 9 for 90 %, 19 for 95 %, 99 for 99 %).
    """
    needed = math.ceil((len(right) + 1) * coverage - 1e-9)
    return float(right[len(right) - needed]) if needed <= len(right) else None


def set_sizes(probabilities: Floats, floor: float, coverage: float) -> list[int]:
    """Returns the sizes of prediction sets: the labels that reach the floor, or as many as the coverage needs.

    Args:
        probabilities: `(n, C)`.
        floor: see `set_floor`.
        coverage: the target rate at which the set contains the right label.
    """
    sizes: list[int] = np.add.reduce(probabilities >= floor, axis=1, dtype=np.intp).tolist()
    for i, size in enumerate(sizes):
        if not size:
            sizes[i] = labels_needed(-np.sort(-probabilities[i]), coverage)
    return sizes


def labels_needed(probabilities: Floats, coverage: float) -> int:
    """Returns the number of labels whose probabilities reach the coverage, `(C,)`, most probable first; at most C."""
    return min(1 + int(np.searchsorted(np.cumsum(probabilities), coverage - 1e-9)), len(probabilities))


def logistic(values: Floats, holds: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Fits P(holds | v) = 1 / (1 + exp(-(a v + b))) by Newton's method with smoothed targets (Platt 1999).

    Args:
        values: `(n,)`.
        holds: `(n,)`, whether the label holds.

    Returns:
        a > 0 and b.
    """
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
