"""Expected calibration error (ECE) of the answer's probability, and coverage of the prediction sets, at few shots.

ECE has 15 bins of equal width and is computed for each draw. "Before" is the engine of 22 November 2026 on the same
draws: without the step from n - 1 shots to n, and with Platt's smoothing. The second table has the ECE of the class
mean with cosines divided by 0.07, which answers while no label has two examples, beside the engine's.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.fewshot.draws import SEEDS, SETTINGS, Draw, draw
from bench.fewshot.figures import engine_numbers
from bench.fewshot.sets import NAMES, known_labels, load
from bench.report import Section, Target
from bench.vectors import Labelled
from glimpse.evaluate.figures.metrics import Flags, calibration_error, reliability
from glimpse.fewshot.decision import EXAMPLE_SCALE, softmax
from glimpse.fewshot.statistics.unit_vectors import Floats

_TARGETS = {2: 10.9, 4: 8.4, 8: 6.0}
_FIXED_SETS, _FIXED_SHOTS = ("caltech101", "banking77"), (2, 4, 8, 16)
_COVERAGE = 100 * SETTINGS.policy.coverage
#: ECE in percent by set, at 2, 4 and 8 shots; empty where not measured.
BEFORE: dict[str, tuple[float, float, float]] = {
    "sms_spam": (13.0, 4.8, 5.1),
    "trec": (10.1, 11.1, 8.4),
    "pacs/photo": (15.5, 10.4, 5.3),
    "pacs/art_painting": (19.0, 14.2, 7.3),
    "pacs/cartoon": (19.5, 8.7, 8.4),
    "sign_digits": (14.0, 9.8, 5.8),
    "banking77": (15.3, 5.6, 3.8),
    "caltech101": (7.7, 3.1, 2.8),
}


def calibration(data: Path) -> tuple[list[Section], list[Target]]:
    """Returns the table and targets."""
    figures = {name: calibration_figures(data, name) for name in NAMES}
    lines = []
    for name, by_shots in figures.items():
        before = BEFORE.get(name, (np.nan,) * len(_TARGETS))
        cells = [_cell(value) for old, new in zip(before, by_shots.values(), strict=True) for value in (old, *new)]
        lines.append([name, *cells])
    means = np.mean([[by_shots[shots] for shots in _TARGETS] for by_shots in figures.values()], 0)
    old = np.mean([BEFORE.get(name, (np.nan,) * len(_TARGETS)) for name in figures], 0)
    lines.append(["mean", *(_cell(value) for one, new in zip(old, means, strict=True) for value in (one, *new))])
    columns = [column for shots in _TARGETS for column in (f"{shots} shots, before", "now", f"{_COVERAGE:.0f} % sets")]
    targets = [
        Target(f"ECE at {shots} shots, mean of {len(figures)} sets, %", float(mean), "<=", wanted)
        for (shots, wanted), (mean, _) in zip(_TARGETS.items(), means, strict=True)
    ]
    title = "ECE, %, and how often the prediction set holds the right label, %"
    return [(title, ["set", *columns], lines), _fixed_section(data)], targets


def _fixed_section(data: Path) -> Section:
    lines = []
    for name in _FIXED_SETS:
        data_set = load(data, name)
        known, cells = known_labels(data_set), []
        for shots in _FIXED_SHOTS:
            drawn = [
                engine_numbers(f"fixed-{name}-{shots}-{seed}", _errors, data_set, known, shots, seed)
                for seed in range(SEEDS)
            ]
            cells += [_cell(value) for value in np.mean(drawn, 0)]
        lines.append([name, *cells])
    columns = [column for shots in _FIXED_SHOTS for column in (f"{shots} shots, fixed", f"{shots} shots")]
    return "ECE of a fixed and of the calibrated temperature, %", ["set", *columns], lines


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}"


def calibration_figures(data: Path, name: str) -> dict[int, tuple[float, float]]:
    """Returns ECE and the coverage of prediction sets by shots, in percent."""
    data_set = load(data, name)
    known = known_labels(data_set)
    result = {}
    for shots in _TARGETS:
        drawn = [
            engine_numbers(f"calibration-{name}-{shots}-{seed}", _figures, data_set, known, shots, seed)
            for seed in range(SEEDS)
        ]
        result[shots] = tuple(np.nanmean(drawn, 0).tolist())
    return result


def _figures(data_set: tuple[Labelled, Labelled], known: Sequence[str], shots: int, seed: int) -> tuple[float, float]:
    drawn = draw(data_set, known, shots, seed)
    answers = drawn.ask(drawn.queries.vectors, len(set(drawn.enrolled.labels))).predictions
    pairs = list(zip(drawn.queries.labels, answers, strict=True))
    right = np.array([one.labels[0] == label for label, one in pairs])
    held = [label in one.labels[: one.set_size] for label, one in pairs if one.set_size]
    error = calibration_error(reliability(np.array([one.probabilities[0] for one in answers]), right))
    return 100 * error, 100 * float(np.mean(held)) if held else float("nan")


def _errors(data_set: tuple[Labelled, Labelled], known: Sequence[str], shots: int, seed: int) -> list[float]:
    drawn = draw(data_set, known, shots, seed)
    return [100 * calibration_error(reliability(*ask(drawn))) for ask in (by_cosines, by_engine)]


def by_engine(drawn: Draw) -> tuple[Floats, Flags]:
    """Returns the best label's probability for each query, (n,), and whether that label is right, (n,)."""
    answers = drawn.ask(drawn.queries.vectors).predictions
    right = np.array([one.labels[0] for one in answers]) == drawn.queries.labels
    return np.array([one.probabilities[0] for one in answers]), right


def by_cosines(drawn: Draw) -> tuple[Floats, Flags]:
    """Returns the same for softmax over scaled cosines to the class means, as before any calibration."""
    scores = drawn.engine.mean.scores(drawn.span.coordinates(drawn.queries.vectors))
    labels = np.array(drawn.engine.labels)[scores.argmax(1)]
    return softmax(scores, EXAMPLE_SCALE).max(1), labels == drawn.queries.labels
