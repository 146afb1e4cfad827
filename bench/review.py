"""Measures how fast a review teaches a classifier, by the order in which queries are shown to a person.

    python -m bench.review [--draws 10] [--data DIR] [--out DIR]

MobileNet V2 embeds the pictures of caltech101, all-MiniLM-L6-v2 the texts of banking77. A collection starts with one
example for each label, or with one for two thirds of them. The review has the other examples of the set, at most 2,000,
and a truthful person answers them (bench/review_person.py). Balanced accuracy is measured on inputs that are in no
review: 10 pictures of each label, the test part of banking77. At each recorded number of answers the classifier is
fitted and the queries are ordered again; between two of them the order stays.

An answer names one query. Of groups, a ranked query is shown with the nearest member of its group that has the same
best label. An answer names both if they have one label; otherwise each of them takes an answer. review.csv has all
draws.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.fewshot.sets import load
from bench.report import Section, Target, page_head, write_tables
from bench.review_person import (
    Order,
    accuracy_curve,
    at_random,
    by_entropy,
    by_groups,
    by_margin,
    by_ranking,
    draw,
)
from bench.vectors import DATA
from glimpse.fewshot.statistics.unit_vectors import Floats

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
"""Balanced accuracy in percent by set, part of the labels without an example, and order: `(draws, points)`."""


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
                lines = [accuracy_curve(each, ORDERS[order], ANSWERS, seed) for seed, each in enumerate(drawn)]
                curves[name, without, order] = np.array(lines)
                print(f"{name}, {title_of(without)}, {order}: {np.round(np.mean(lines, 0), 1).tolist()}", flush=True)
    write(curves, options.out)


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
            f"{name}, {title_of(part)}, {order}": line.mean(0).tolist() for (name, part, order), line in curves.items()
        },
    }
    write_tables(out / "review", head, sections, ("Targets", targets), record, {})
    with (out / "review.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["set", "labels_without_example", "order", "draw", "answers", "balanced_accuracy"])
        for (name, part, order), lines in curves.items():
            for seed, line in enumerate(lines):
                writer.writerows(
                    [name, part, order, seed, count, f"{value:.2f}"] for count, value in zip(ANSWERS, line, strict=True)
                )
    _draw_picture(curves, settings, out / "review.svg")


def _section(curves: Curves, name: str, part: float) -> Section:
    """Returns the table of one setting: an order's mean ± the standard error of its difference to random."""
    rows, random = [], curves[name, part, "random"]
    for (one, other, order), lines in curves.items():
        if (one, other) == (name, part):
            cells = [
                f"{mean:.1f}" if order == "random" or not count else f"{mean:.1f} ± {error:.1f}"
                for count, mean, error in zip(ANSWERS, lines.mean(0), _error(lines - random), strict=True)
            ]
            rows.append([order, *cells])
    return f"{name}, {title_of(part)}: balanced accuracy after k answers, %", ["order", *map(str, ANSWERS)], rows


def _targets(curves: Curves, name: str, part: float) -> list[Target]:
    """Returns the targets: single items at no k below random, and groups at k as good as random at 2 k."""
    random, ranking, groups = (curves[name, part, order] for order in ("random", "ranking", "groups"))
    gains = (ranking - random)[:, 1:]
    setting = f"{name}, {title_of(part)}"
    halves = [(half, ANSWERS.index(2 * count)) for half, count in enumerate(ANSWERS) if count and 2 * count in ANSWERS]
    gain_at_half = min(float((groups[:, half] - random[:, whole]).mean()) for half, whole in halves)
    single_at_half = min(float((ranking[:, half] - random[:, whole]).mean()) for half, whole in halves)
    return [
        Target(
            f"{setting}: single items against random, least gain over all k in standard errors",
            float((gains.mean(0) / _error(gains)).min()),
            ">=",
            -2.0,
        ),
        Target(f"{setting}: groups at k against random at 2 k, least gain in points", gain_at_half, ">=", 0.0),
        Target(f"{setting}: single items at k against random at 2 k, likewise", single_at_half, ">=", 0.0),
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
                axis.plot(ANSWERS, lines.mean(0), label=order, color=color, marker=".", linewidth=1)
        axis.set(title=f"{name}, {title_of(part)}", xlabel="answers", ylabel="balanced accuracy, %")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
