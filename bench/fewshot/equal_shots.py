"""Equal shots without text: balanced accuracy minus that of logistic regression, log-loss and ECE, on eight sets.

"before" is the engine of 22 November (commit 4cab77d), measured by the same draws and kept in before.json. Pictures
have 5 draws from two shots on; sets of few labels otherwise have 20.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.fewshot.draws import SEEDS, answered, seeds, split
from bench.fewshot.figures import Figures, engine_numbers
from bench.fewshot.logistic import logistic_figures
from bench.fewshot.sets import NAMES, known_labels, load
from bench.report import Section, Target
from bench.vectors import READERS

SHOTS = (1, 2, 4, 8, 16)
#: Figures of the earlier engine, by "SET|SHOTS" ("u": unequal shots, "t": shots with text): accuracy, log-loss and
#: ECE of each draw. banking77 and spam with text have the mean accuracy of its own record. caltech101 has 2 draws.
BEFORE = Path(__file__).parent / "before.json"
_Cells = dict[str, dict[int, tuple[Figures, Figures, Figures]]]


def equal_shots(data: Path) -> tuple[list[Section], list[Target]]:
    cells: _Cells = {name: dict(_cells(data, name)) for name in NAMES}
    gains = {
        shots: [float(np.mean([_gain(cells[name][shots], which) for name in NAMES])) for which in (1, 2)]
        for shots in SHOTS
    }
    lines = [[name, *(_pair(cells[name][shots]) for shots in SHOTS)] for name in NAMES]
    lines.append(["mean", *(f"{before:+.1f} → {now:+.1f}" for before, now in gains.values())])
    columns = ["set", *(f"{shots} shots" for shots in SHOTS)]
    sections: list[Section] = [
        ("Equal shots: balanced accuracy minus logistic regression's, points, before → now", columns, lines),
        _section("Equal shots: log-loss, before → now (logistic regression)", cells, "log_loss", "{:.2f}"),
        _section("Equal shots: ECE, %, before → now (logistic regression)", cells, "ece", "{:.1f}"),
    ]
    targets = [
        Target(f"equal shots, {shots}: minus logistic regression", gains[shots][1], ">=", 0.3) for shots in SHOTS
    ]
    for shots in (8, 16):
        worst = min(cells[name][shots][2].accuracy - cells[name][shots][1].accuracy for name in NAMES)
        targets.append(Target(f"equal shots, {shots}: now - before, least of the sets", worst, ">=", 0.0))
    worst = max(cells[name][1][2].log_loss - cells[name][1][1].log_loss for name in NAMES)
    targets.append(Target("one shot: log-loss now - before, greatest of the sets", worst, "<=", 0.0))
    for shots, wanted in ((8, 0.63), (16, 0.46)):
        loss = cells["banking77"][shots][2].log_loss
        targets.append(Target(f"banking77, {shots} shots: log-loss", loss, "<=", wanted))
    return sections, targets


def _draws(name: str, known: Sequence[str], shots: int) -> range:
    """Returns the draws of a set: fits of pictures, of 1,280 numbers each, take seconds from two shots on."""
    return seeds(known) if name in READERS or shots == 1 else range(SEEDS)


def earlier(key: str, draws: range) -> Figures:
    """Returns the mean figures of the earlier engine over the same draws, or the first of them that were measured."""
    rows = json.loads(BEFORE.read_text("utf-8"))[key]
    return Figures.mean([Figures(*row) for row in rows[: len(draws)]])


def _cells(data: Path, name: str) -> Iterator[tuple[int, tuple[Figures, Figures, Figures]]]:
    """Yields shots with the figures of logistic regression, of the earlier engine, and of this one."""
    data_set = load(data, name)
    known = known_labels(data_set)
    for shots in SHOTS:
        draws = _draws(name, known, shots)
        rival = [logistic_figures(name, str(shots), seed, split(data_set, known, shots, seed)) for seed in draws]
        ours = [
            Figures(*engine_numbers(f"{name}-{shots}-{seed}", answered, data_set, known, shots, seed)) for seed in draws
        ]
        print(f"{name}, {shots} shots", flush=True)
        yield shots, (Figures.mean(rival), earlier(f"{name}|{shots}", draws), Figures.mean(ours))


def _gain(cell: tuple[Figures, Figures, Figures], which: int) -> float:
    return cell[which].accuracy - cell[0].accuracy


def _pair(cell: tuple[Figures, Figures, Figures]) -> str:
    return f"{_gain(cell, 1):+.1f} → {_gain(cell, 2):+.1f}"


def _section(title: str, cells: _Cells, figure: str, form: str) -> Section:
    lines = []
    for name in NAMES:
        values = [[form.format(getattr(one, figure)) for one in cells[name][shots]] for shots in SHOTS]
        lines.append([name, *(f"{before} → {now} ({rival})" for rival, before, now in values)])
    means = np.mean([[[getattr(one, figure) for one in cells[name][shots]] for shots in SHOTS] for name in NAMES], 0)
    lines.append(["mean", *(f"{form} → {form} ({form})".format(before, now, rival) for rival, before, now in means)])
    return title, ["set", *(f"{shots} shots" for shots in SHOTS)], lines
