"""Plots as SVG, their text left as text: small, sharp at any size, and in the reader's own fonts."""

import base64
import io
import warnings
from collections.abc import Sequence
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from glimpse.evaluate.figures.aggregation import AggregatedResult, Histogram
from glimpse.evaluate.figures.metrics import Interval
from glimpse.fewshot.statistics.unit_vectors import Floats

# Told apart by colour-blind readers too (Okabe and Ito 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_KNOWN, _STRANGERS, _FAINT = "#0072b2", "#d55e00", "#8a8f98"
_LINES, _MARKS = ("-", "--", ":", "-."), ("o", "s", "^", "D", "v", "P")
# A name is what someone called a folder: no part of it is mathematics.
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "glimpse",
    "text.parse_math": False,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _FAINT,
    "legend.frameon": False,
}
T = TypeVar("T")
_LONGEST = 24  # characters of a label


@mpl.rc_context(_STYLE)
def accuracy_plot(results: Sequence[AggregatedResult]) -> str:
    """Accuracy over shots, a line a backbone and head."""
    figure, axes = _figure(4.2)
    shots = sorted({cell.shots for cell in results})
    backbones, heads = (
        _in_order([cell.backbone for cell in results]),
        _in_order([cell.contender.name for cell in results]),
    )
    lines = _in_order([(cell.backbone, cell.contender.name) for cell in results])
    for place, (backbone, head) in enumerate(lines):
        own = sorted((one for one in results if (one.backbone, one.contender.name) == (backbone, head)), key=_shots)
        figures = [Interval.of(one.values("accuracy")) for one in own]
        # A little apart, so that intervals do not hide one another.
        x = [shots.index(one.shots) + 0.04 * (place - (len(lines) - 1) / 2) for one in own]
        axes.errorbar(
            x,
            [100 * one.mean for one in figures],
            [100 * (one.half or 0.0) for one in figures],
            label=f"{backbone} · {head}",
            color=_COLOURS[backbones.index(backbone) % len(_COLOURS)],
            linestyle=_LINES[heads.index(head) % len(_LINES)],
            marker=_MARKS[heads.index(head) % len(_MARKS)],
            capsize=3,
            markersize=5,
        )
    axes.set_xticks(range(len(shots)), [str(one) if one else "0 (names)" for one in shots])
    axes.set_xlim(-0.4, len(shots) - 0.6)
    axes.set(xlabel="examples a label", ylabel="accuracy, %")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 101))  # an interval of few seeds may reach further
    axes.grid(axis="y", alpha=0.3)
    figure.legend(fontsize=9, loc="outside lower center", ncols=2 if len(lines) > 1 else 1)
    return _source(figure)


@mpl.rc_context(_STYLE)
def reliability_plot(results: Sequence[AggregatedResult], shots: Sequence[int]) -> str:
    """How often one backbone's answers of a probability are right, a line a cell. `shots`: every backbone's."""
    figure, axes = _figure(3.8)
    axes.plot([0, 100], [0, 100], color=_FAINT, linewidth=1, linestyle=":")
    for cell in results:
        place = shots.index(cell.shots)
        some = cell.bins[cell.bins[:, 0] >= max(10, 0.002 * cell.bins[:, 0].sum())]  # fewer tell nothing
        axes.plot(
            100 * some[:, 1] / some[:, 0],
            100 * some[:, 2] / some[:, 0],
            marker=_MARKS[place % len(_MARKS)],
            markersize=4,
            color=_COLOURS[place % len(_COLOURS)],
            label=f"{cell.shots} a label" if cell.shots else "names alone",
        )
    axes.set(xlim=(-1, 102), ylim=(-2, 102), xlabel="probability, %", ylabel="right, %")
    figure.legend(fontsize=9, loc="outside upper center", ncols=5)
    return _source(figure)


@mpl.rc_context(_STYLE)
def histogram_plot(one: Histogram) -> str:
    """Where known inputs and strangers lie, and what is refused."""
    figure, axes = _figure(3.4)
    edges = np.linspace(one.low, one.high, len(one.known) + 1)
    for counts, colour, name in ((one.known, _KNOWN, "known labels"), (one.unknown, _STRANGERS, "strangers")):
        if counts.any():
            axes.stairs(100 * counts / counts.sum(), edges, fill=True, alpha=0.45, color=colour, label=name)
    if one.threshold is not None:
        axes.axvline(one.threshold, color="black", linewidth=1, linestyle="--", label="left of it: UNKNOWN")
    used = np.flatnonzero(one.known + one.unknown)
    if len(used):
        low = min(edges[used[0]], one.threshold if one.threshold is not None else 1.0)
        axes.set_xlim(low - 0.02, min(edges[used[-1] + 1] + 0.02, one.high))
    measure = "p-value: part of the examples that fit no better" if one.measure == "p-value" else "cosine to the label"
    axes.set(xlabel=measure, ylabel="of inputs, %")
    figure.legend(fontsize=9, loc="outside upper center", ncols=3)
    return _source(figure)


@mpl.rc_context(_STYLE)
def confusion_plot(labels: Sequence[str], parts: Floats) -> str:
    """What inputs of each label were called."""
    side = min(8.0, 2.6 + 0.2 * len(labels))
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.add_subplot()
    shown = axes.imshow(100 * parts, cmap="Blues", vmin=0, vmax=100)
    names = [_short(label) for label in labels]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set(xlabel="said", ylabel="true label")
    if len(labels) <= 12:
        for (row, column), part in np.ndenumerate(parts):
            if part >= 0.005:
                colour = "white" if part > 0.5 else "black"
                axes.text(column, row, f"{100 * part:.0f}", ha="center", va="center", fontsize=8, color=colour)
    bar = figure.colorbar(shown, ax=axes, shrink=0.6)
    bar.set_label("of the label's inputs, %")
    return _source(figure)


def _figure(height: float) -> tuple[Figure, Axes]:
    """One panel, as wide as a phone can show; its title stands in the page."""
    figure = Figure(figsize=(6.4, height), layout="constrained")
    return figure, figure.add_subplot()


def _source(figure: Figure) -> str:
    """A figure as an image's source: its own document, whose names cannot meet those of others on a page."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters that matplotlib's own font lacks; readers' fonts draw them
        # Square panels leave a margin that nobody needs.
        figure.savefig(
            file, format="svg", bbox_inches="tight", pad_inches=0.05, metadata={"Date": None, "Creator": None}
        )
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _shots(cell: AggregatedResult) -> int:
    return cell.shots


def _in_order(items: Sequence[T]) -> list[T]:
    return list(dict.fromkeys(items))
