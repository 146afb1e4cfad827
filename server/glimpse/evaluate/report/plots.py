"""Plots as SVG with text kept as text: small, sharp at any size, and in the reader's fonts."""

from collections.abc import Sequence
from typing import TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from glimpse.evaluate.figures.aggregation import AggregatedResult, Histogram
from glimpse.evaluate.figures.metrics import Interval
from glimpse.evaluate.report.svg import COLOURS, FAINT, STYLE, new_figure, svg_source
from glimpse.fewshot.statistics.unit_vectors import Floats

_KNOWN, _UNKNOWN = "#0072b2", "#d55e00"
_LINES, _MARKS = ("-", "--", ":", "-."), ("o", "s", "^", "D", "v", "P")
T = TypeVar("T")
_LONGEST = 24  # the most characters of a label


@mpl.rc_context(STYLE)
def accuracy_plot(results: Sequence[AggregatedResult]) -> str:
    """Plots accuracy over shots, one line per backbone and head."""
    figure, axes = new_figure(4.2)
    shots = sorted({result.shots for result in results})
    backbones, heads = (
        _in_order([result.backbone for result in results]),
        _in_order([result.contender.name for result in results]),
    )
    lines = _in_order([(result.backbone, result.contender.name) for result in results])
    for place, (backbone, head) in enumerate(lines):
        own = sorted((one for one in results if (one.backbone, one.contender.name) == (backbone, head)), key=_shots)
        figures = [Interval.of(one.values("accuracy")) for one in own]
        # Shift the lines a little, so that intervals do not overlap.
        x = [shots.index(one.shots) + 0.04 * (place - (len(lines) - 1) / 2) for one in own]
        axes.errorbar(
            x,
            [100 * one.mean for one in figures],
            [100 * (one.half or 0.0) for one in figures],
            label=f"{backbone} · {head}",
            color=COLOURS[backbones.index(backbone) % len(COLOURS)],
            linestyle=_LINES[heads.index(head) % len(_LINES)],
            marker=_MARKS[heads.index(head) % len(_MARKS)],
            capsize=3,
            markersize=5,
        )
    axes.set_xticks(range(len(shots)), [str(one) if one else "0 (names)" for one in shots])
    axes.set_xlim(-0.4, len(shots) - 0.6)
    axes.set(xlabel="examples per label", ylabel="accuracy, %")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 101))  # an interval from few seeds may reach further
    axes.grid(axis="y", alpha=0.3)
    figure.legend(fontsize=9, loc="outside lower center", ncols=2 if len(lines) > 1 else 1)
    return svg_source(figure)


@mpl.rc_context(STYLE)
def reliability_plot(results: Sequence[AggregatedResult], shots: Sequence[int]) -> str:
    """Plots accuracy over probability, one line per number of shots; `shots` lists those of every backbone."""
    figure, axes = new_figure(3.8)
    axes.plot([0, 100], [0, 100], color=FAINT, linewidth=1, linestyle=":")
    for result in results:
        place = shots.index(result.shots)
        some = result.bins[
            result.bins[:, 0] >= max(10, 0.002 * result.bins[:, 0].sum())
        ]  # skip bins with few predictions
        axes.plot(
            100 * some[:, 1] / some[:, 0],
            100 * some[:, 2] / some[:, 0],
            marker=_MARKS[place % len(_MARKS)],
            markersize=4,
            color=COLOURS[place % len(COLOURS)],
            label=f"{result.shots} per label" if result.shots else "names alone",
        )
    axes.set(xlim=(-1, 102), ylim=(-2, 102), xlabel="probability, %", ylabel="right, %")
    figure.legend(fontsize=9, loc="outside upper center", ncols=5)
    return svg_source(figure)


@mpl.rc_context(STYLE)
def histogram_plot(one: Histogram) -> str:
    """Plots the distributions of known and unknown inputs, with the threshold."""
    figure, axes = new_figure(3.4)
    edges = np.linspace(one.low, one.high, len(one.known) + 1)
    for counts, colour, name in ((one.known, _KNOWN, "known labels"), (one.unknown, _UNKNOWN, "unknown inputs")):
        if counts.any():
            axes.stairs(100 * counts / counts.sum(), edges, fill=True, alpha=0.45, color=colour, label=name)
    if one.threshold is not None:
        axes.axvline(one.threshold, color="black", linewidth=1, linestyle="--", label="left of it: UNKNOWN")
    used = np.flatnonzero(one.known + one.unknown)
    if len(used):
        low = min(edges[used[0]], one.threshold if one.threshold is not None else 1.0)
        axes.set_xlim(low - 0.02, min(edges[used[-1] + 1] + 0.02, one.high))
    measure = (
        "p-value: fraction of the examples that fit no better" if one.measure == "p-value" else "cosine to the label"
    )
    axes.set(xlabel=measure, ylabel="of inputs, %")
    figure.legend(fontsize=9, loc="outside upper center", ncols=3)
    return svg_source(figure)


@mpl.rc_context(STYLE)
def confusion_plot(labels: Sequence[str], parts: Floats) -> str:
    """Plots the predictions for each label's inputs."""
    side = min(8.0, 2.6 + 0.2 * len(labels))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(100 * parts, cmap="Blues", vmin=0, vmax=100)
    names = [_short(label) for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="predicted label", ylabel="true label")
    if len(labels) <= 12:
        for (row, column), part in np.ndenumerate(parts):
            if part >= 0.005:
                colour = "white" if part > 0.5 else "black"
                axes.text(column, row, f"{100 * part:.0f}", ha="center", va="center", fontsize=8, color=colour)
    bar = figure.colorbar(shown, ax=axes, shrink=0.6)
    bar.set_label("of the label's inputs, %")
    return svg_source(figure)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _shots(result: AggregatedResult) -> int:
    return result.shots


def _in_order(items: Sequence[T]) -> list[T]:
    return list(dict.fromkeys(items))
