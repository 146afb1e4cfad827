"""Measures how fast a review teaches a classifier, by the order in which queries are shown to a person.

    python -m bench.review [--draws 10] [--data DIR] [--out DIR]

MobileNet V2 embeds the pictures of caltech101, all-MiniLM-L6-v2 the texts of banking77. A collection starts with one
example for each label, or with one for two thirds of them. The review has the other examples of the set, at most 2,000,
and a truthful person answers them (bench/review_person.py). Balanced accuracy is measured on inputs that are in no
review: 10 pictures of each label, the test part of banking77.

An answer names one query. Of groups, a ranked query is shown with the next of its group that has the same best label.
An answer names both if they have one label; otherwise each of them takes an answer.

Balanced accuracy is measured after every answer; review.csv has all of it. The classifier is fitted after each of the
first 20 answers and then after every tenth. In between it learns an answer as a server does until its next fit. The
queries are ordered again at the numbers of answers that the tables show; between two of them the order stays.

Each curve is kept in build/ until all are measured, so an interrupted run continues.
"""

import argparse
import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.fewshot.sets import load
from bench.report import Section, Target, page_head, write_tables
from bench.review_person import (
    Draw,
    Order,
    accuracy_curve,
    at_random,
    by_entropy,
    by_groups,
    by_margin,
    by_ranking,
    draw,
)
from bench.vectors import CACHE, DATA
from glimpse.fewshot.statistics.unit_vectors import Floats

_CURVES = CACHE / "review"
#: The numbers of answers at which the queries are ordered, and which the tables show.
ANSWERS = (0, 10, 20, 30, 40, 60, 80, 100, 120, 140, 160, 200, 240, 280)
ORDERS: dict[str, Order] = {
    "random": at_random,
    "margin": by_margin,
    "entropy": by_entropy,
    "ranking": by_ranking,
    "groups": by_groups,
}
#: Each setting: the set, the part of the labels that start without an example, and the orders.
SETTINGS: tuple[tuple[str, float, tuple[str, ...]], ...] = (
    ("caltech101", 0.0, tuple(ORDERS)),
    ("banking77", 0.0, tuple(ORDERS)),
    ("caltech101", 0.33, ("random", "ranking", "groups")),
    ("banking77", 0.33, ("random", "ranking", "groups")),
)
Curves = dict[tuple[str, float, str], Floats]
"""Balanced accuracy in percent by set, part of the labels without an example, and order: `(draws, answers + 1)`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    curves: Curves = {}
    with threadpool_limits(1):
        for name, without, orders in SETTINGS:
            drawn = [draw(load(options.data, name), seed, without) for seed in range(options.draws)]
            for order in orders:
                lines = np.array([_curve(name, without, order, seed, each) for seed, each in enumerate(drawn)])
                curves[name, without, order] = lines
                means = np.round(lines.mean(0)[list(ANSWERS)], 1).tolist()
                print(f"{name}, {title_of(without)}, {order}: {means}", flush=True)
    write(curves, options.out)
    shutil.rmtree(_CURVES)


def _curve(name: str, without: float, order: str, seed: int, drawn: Draw) -> Floats:
    """Returns the curve of one draw, `(answers + 1,)`, which an interrupted run may have measured."""
    file = _CURVES / f"{name}-{without}-{order}-{seed}.npy"
    if not file.is_file():
        curve = accuracy_curve(drawn, ORDERS[order], ANSWERS, seed)
        _CURVES.mkdir(parents=True, exist_ok=True)
        np.save(part := file.with_suffix(".part.npy"), curve)
        part.replace(file)
    values: Floats = np.load(file, allow_pickle=False)
    return values


def title_of(without: float) -> str:
    """Returns the words for the part of the labels that start without an example."""
    return "no example for a third of the labels" if without else "one example for each label"


def write(curves: Curves, out: Path) -> None:
    """Writes the tables, the record of every draw and the picture."""
    settings = list(dict.fromkeys(key[:2] for key in curves))
    sections = [_section(curves, *setting) for setting in settings]
    targets = [target for setting in settings for target in _targets(curves, *setting)]
    head = [*page_head("Review of uncertain queries", "bench.review"), "", "![Accuracy after k answers](review.svg)"]
    record = {
        "answers": ANSWERS,
        "mean": {
            f"{name}, {title_of(part)}, {order}": lines.mean(0)[list(ANSWERS)].tolist()
            for (name, part, order), lines in curves.items()
        },
    }
    write_tables(out / "review", head, sections, ("Targets", targets), record, {})
    with (out / "review.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["set", "labels_without_example", "order", "draw", *range(ANSWERS[-1] + 1)])
        for (name, part, order), lines in curves.items():
            writer.writerows([name, part, order, seed, *(f"{v:.2f}" for v in line)] for seed, line in enumerate(lines))
    _draw_picture(curves, settings, out / "review.svg")


def _section(curves: Curves, name: str, part: float) -> Section:
    """Returns the table of one setting: an order's mean ± the standard error of its difference to random."""
    rows, random, shown = [], curves[name, part, "random"], list(ANSWERS)
    for (one, other, order), lines in curves.items():
        if (one, other) == (name, part):
            cells = [
                f"{mean:.1f}" if order == "random" or not count else f"{mean:.1f} ± {error:.1f}"
                for count, mean, error in zip(ANSWERS, lines.mean(0)[shown], _error(lines - random)[shown], strict=True)
            ]
            rows.append([order, *cells])
    return f"{name}, {title_of(part)}: balanced accuracy after k answers, %", ["order", *map(str, ANSWERS)], rows


def _targets(curves: Curves, name: str, part: float) -> list[Target]:
    """Returns the targets: single items at no k below random, and groups at k as good as random at 2 k."""
    random, ranking, groups = (curves[name, part, order].mean(0) for order in ("random", "ranking", "groups"))
    setting, half = f"{name}, {title_of(part)}", np.arange(1, ANSWERS[-1] // 2 + 1)
    least = {
        "single items against random": ranking[1:] - random[1:],
        "groups at k against random at 2 k": groups[half] - random[2 * half],
        "single items at k against random at 2 k": ranking[half] - random[2 * half],
    }
    return [
        Target(f"{setting}: {what}, least gain over all k in points", float(gains.min()), ">=", 0.0)
        for what, gains in least.items()
    ]


def _error(lines: Floats) -> Floats:
    """Returns the standard error of the mean over draws, `(draws, points)` → `(points,)`."""
    return np.asarray(lines.std(0, ddof=1) / np.sqrt(len(lines)), np.float64)


def _draw_picture(curves: Curves, settings: Sequence[tuple[str, float]], file: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    # A fixed salt and no date: equal figures give an equal file.
    matplotlib.rcParams["svg.hashsalt"] = "review"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7), sharex=True, layout="constrained")
    for axis, (name, part) in zip(axes.flat, settings, strict=True):
        for (one, other, order), lines in curves.items():
            if (one, other) == (name, part):
                color = f"C{list(ORDERS).index(order)}"
                axis.plot(lines.mean(0), label=order, color=color, linewidth=1)
        axis.set(title=f"{name}, {title_of(part)}", xlabel="answers", ylabel="balanced accuracy, %")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
