"""Plots learning curves with and without transfer, and the three benefits between them."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes

from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.figures.metrics import Interval
from glimpse.evaluate.figures.transfer import TransferBenefits
from glimpse.evaluate.report.svg import COLOURS, FAINT, STYLE, new_figure, svg_source


@mpl.rc_context(STYLE)
def transfer_plot(
    results: Sequence[AggregatedResult], baseline: Sequence[AggregatedResult], best: TransferBenefits
) -> str:
    """Plots accuracy over shots on a logarithmic axis: one line per backbone, and a broken one without transfer.

    Args:
        results: those of the head that backbones are compared by.
        baseline: those without transfer.
        best: the benefits to draw between the lines.
    """
    figure, axes = new_figure(4.2)
    for place, backbone in enumerate(dict.fromkeys(result.backbone for result in results)):
        own = sorted((one for one in results if one.backbone == backbone), key=lambda one: one.shots)
        _curve(axes, own, label=backbone, color=COLOURS[place % len(COLOURS)], marker="o")
    without = sorted(baseline, key=lambda one: one.shots)
    _curve(axes, without, label=f"no transfer: {without[0].backbone}", color=FAINT, linestyle="--", marker="s")
    _draw_benefits(axes, best)
    shots = sorted({one.shots for one in (*results, *without)})
    axes.set_xscale("log", base=2)
    axes.set_xticks(shots, [str(count) for count in shots])
    axes.minorticks_off()
    axes.set(xlabel="examples per label", ylabel="accuracy, %")
    axes.set_ylim(0, 101)
    axes.grid(axis="y", alpha=0.3)
    figure.legend(fontsize=9, loc="outside lower center", ncols=2)
    return svg_source(figure)


def _draw_benefits(axes: Axes, best: TransferBenefits) -> None:
    """Draws the gaps between two curves at their ends, and writes their slopes between them."""
    ends = (("start", best.start, best.shots[0], "left"), ("asymptote", best.asymptote, best.shots[-1], "right"))
    for name, benefit, shots, side in ends:
        low, high = 100 * benefit.baseline.mean, 100 * benefit.transfer.mean
        axes.annotate("", (shots, high), (shots, low), arrowprops={"arrowstyle": "<->", "color": FAINT})
        beside = shots * (1.06 if side == "left" else 1 / 1.06)
        text = f"{name} {100 * benefit.gain.mean:+.1f}"
        axes.text(beside, (low + high) / 2, text, ha=side, va="center", fontsize=9)
    if best.slope:
        corners = [part.mean for one in (best.start, best.asymptote) for part in (one.transfer, one.baseline)]
        slopes = f"slope {100 * best.slope.transfer.mean:.1f}\nagainst {100 * best.slope.baseline.mean:.1f}"
        at = (best.shots[0] * best.shots[-1]) ** 0.5
        axes.text(at, 100 * sum(corners) / len(corners), slopes, ha="center", va="center", fontsize=9)


def _curve(axes: Axes, results: Sequence[AggregatedResult], **style: Any) -> None:
    """Draws accuracy with intervals over the numbers of examples."""
    figures = [Interval.of(one.values("accuracy")) for one in results]
    means, halves = [100 * one.mean for one in figures], [100 * (one.half or 0.0) for one in figures]
    axes.errorbar([one.shots for one in results], means, halves, capsize=3, markersize=5, **style)
