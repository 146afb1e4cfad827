"""Near copies: 4 labels, 8 examples each, which are jittered copies of 1, 2 or 4 inputs with a cosine of 0.97.

The columns are false rejects of new inputs, the accuracy that leave-one-out reports less that on new inputs (none
if nothing can be left out), and the part of the examples that the report counts as grouped. "Before" is the engine of
22 November 2026 on the same draws.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.fewshot.draws import Draw, Split, best_labels, fitted, split
from bench.fewshot.figures import engine_numbers
from bench.fewshot.sets import NAMES, known_labels, load
from bench.report import Section, Target
from bench.vectors import Array, Labelled
from glimpse.fewshot import Decision, normalize

_LABELS, _EXAMPLES, _COSINE, _DRAWS = 4, 8, 0.97, 5
_ORIGINALS = (1, 2, 4)
#: False rejects and leave-one-out less truth, in percent, by the number of originals.
BEFORE = {1: (100.0, 29.5), 2: (100.0, 21.9), 4: (99.9, 16.6)}


def copies(data: Path) -> tuple[list[Section], list[Target]]:
    """Returns the table and targets."""
    lines, targets = [], []
    for originals, (false_rejects, excess, grouped) in copies_figures(data).items():
        old = BEFORE.get(originals, (np.nan,) * 2)
        cells = (old[0], false_rejects, old[1], excess, grouped)
        lines.append([str(originals), *("-" if np.isnan(cell) else f"{cell:.1f}" for cell in cells)])
        title = f"copies of {originals} a label"
        targets.append(Target(f"{title}: false rejects, %", false_rejects, "<=", 10.0))
        if not np.isnan(excess):
            targets.append(Target(f"{title}: leave-one-out less truth, points", abs(excess), "<=", 6.0))
        targets.append(Target(f"{title}: grouped, %", grouped, ">=", 50.0))
    columns = ["originals", "false rejects, before", "now", "leave-one-out less truth, before", "now", "grouped"]
    return [("Near copies, mean of the sets, %", columns, lines)], targets


def copies_figures(data: Path) -> dict[int, tuple[float, ...]]:
    """Returns the figures by the number of originals of each label, in percent, means of the sets."""
    result = {}
    for originals in _ORIGINALS:
        figures = []
        for name in NAMES:
            data_set = load(data, name)
            if len(labels := known_labels(data_set)) < _LABELS:
                continue
            for seed in range(_DRAWS):
                known = sorted(np.random.default_rng(seed).permutation(labels)[:_LABELS].tolist())
                drawn = split(data_set, known, originals, seed)
                figures.append(engine_numbers(f"copies-{name}-{originals}-{seed}", _figures, drawn, seed))
        result[originals] = tuple(_mean(np.array(column)) for column in zip(*figures, strict=True))
    return result


def _mean(values: npt.NDArray[np.float64]) -> float:
    """Returns the mean of the finite values, NaN without any."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def _copied(drawn: Split, seed: int) -> Draw:
    """Fits a classifier to jittered copies of a draw's examples."""
    times = _LABELS * _EXAMPLES // len(drawn.enrolled.labels)
    vectors, labels = np.repeat(drawn.enrolled.vectors, times, 0), np.repeat(drawn.enrolled.labels, times)
    noise = normalize(np.random.default_rng(seed).normal(size=vectors.shape).astype(np.float32))
    jittered: Array = normalize(vectors + np.float32((1 / _COSINE - 1) ** 0.5) * noise)
    return fitted(Labelled(jittered, labels), np.repeat(drawn.rows, times), drawn.queries, drawn.known)


def _figures(examples: Split, seed: int) -> tuple[float, float, float]:
    drawn = _copied(examples, seed)
    answers = drawn.ask(drawn.queries.vectors)
    rejected = np.mean([one.decision is Decision.UNKNOWN for one in answers.predictions])
    truth = np.mean(np.array(best_labels(answers)) == drawn.queries.labels)
    evaluation, fit = drawn.engine.chosen_evaluation, drawn.engine.fitted
    reported = evaluation.accuracy if evaluation and evaluation.count else float("nan")
    grouped = (fit.grouped if fit else 0) / len(drawn.enrolled.labels)
    return 100 * float(rejected), 100 * float(reported - truth), 100 * grouped
