"""The figures of a collection with each of its two backbones, side by side."""

from collections.abc import Callable

from nicegui import ui

from glimpse.client import Collection, CollectionReport, CrossFittedFigures, Estimate, Reembedding
from glimpse.console.components import counted, estimate, heading, note, table
from glimpse.console.context import REPORT_SECONDS, Context

_MEASURED_AT_ONCE = 5_000  # examples up to which figures are measured without a click
_FIGURES: tuple[tuple[str, Callable[[CollectionReport], str]], ...] = (
    ("Accuracy", lambda report: estimate(report.accuracy)),
    ("Measured by", lambda report: "cross-fitting" if report.cross_fitted else "leaving each example out"),
    ("Examples measured", lambda report: f"{report.accuracy.count:,}" if report.accuracy else "—"),
    ("Accuracy by prompts alone", lambda report: estimate(report.zero_shot_accuracy)),
    ("Own inputs refused", lambda report: estimate(report.false_reject)),
    ("Unknown inputs accepted", lambda report: estimate(report.false_accept)),
    ("Labels that need more examples", lambda report: f"{sum(one.needs_more for one in report.labels):,}"),
    ("Suspect examples", lambda report: f"{len(report.suspects):,}"),
    ("Head", lambda report: report.head.name.replace("_", " ").capitalize().replace("Lda", "LDA")),
    ("Calibrated", lambda report: "yes" if report.calibrated else "no, too few examples"),
)


def short_name(backbone: str) -> str:
    """Returns the id of a backbone."""
    return backbone.rpartition("/")[2]


def show_figures(context: Context, collection: Collection, state: Reembedding) -> None:
    """Offers the figures of both backbones. Those of a small collection are measured at once."""
    heading("Both backbones on your examples", 2)
    place = ui.element("div").classes("comparison")

    async def measure() -> None:
        with context.busy("Measuring both backbones"):
            measured = await context.client.get_reembedding(collection.name, measure=True, timeout=REPORT_SECONDS)
        if not place.is_deleted:
            place.clear()
            with place:
                _show(measured)

    with place:
        if state.done and collection.example_count <= _MEASURED_AT_ONCE:
            note("Measuring …").props("role=status")
            ui.timer(0, measure, once=True)
            return
        note(
            "Each example is left out in turn, with either backbone. The server holds the collection twice while it "
            "measures, and needs seconds for thousands of examples."
        )
        with ui.element("div").classes("actions"):
            ui.button("Measure both on all examples", on_click=measure).props("outline no-caps")


def _show(state: Reembedding) -> None:
    current, shadow = state.current.figures, state.shadow.figures
    if current is None or shadow is None:
        note("The server has not measured them.")
        return
    name, figures = short_name(state.shadow.backbone), current.cross_fitted or shadow.cross_fitted
    if figures is None:
        ui.label(verdict(name, current.accuracy, shadow.accuracy)).props("role=status")
    else:
        ui.label(adapted_verdict(figures)).props("role=status")
    if state.left_count:
        note(f"The figures of the other backbone rest on {counted(state.embedded_count, 'example')} so far.")
    columns = ("", f"{short_name(state.current.backbone)} (in use)", short_name(state.shadow.backbone))
    rows = [(name, read(current), read(shadow)) for name, read in _FIGURES]
    table("Figures of both backbones", columns, rows, numbers=(1, 2))


def verdict(other: str, current: Estimate | None, shadow: Estimate | None) -> str:
    """Returns in one sentence whether the other backbone is better.

    Args:
        other: Name of the other backbone.
        current: Accuracy with the backbone in use. None: not measured.
        shadow: Accuracy with the other one.
    """
    if current is None or shadow is None:
        return "Too few examples to compare: no label has two that can be left out."
    points = 100 * (shadow.value - current.value)
    if abs(points) < 0.05:
        return f"{other} is right as often as the backbone in use."
    more = "more" if points > 0 else "less"
    difference = f"{other} is right {more} often, by {abs(points):.1f} percentage points."
    if min(current.high, shadow.high) >= max(current.low, shadow.low):
        return f"{difference} The 95 % intervals overlap, so it may be chance."
    return f"{difference} The 95 % intervals do not overlap."


def adapted_verdict(figures: CrossFittedFigures) -> str:
    """Returns in one sentence whether an adapted backbone is better than its parent. Leave-one-out cannot say it."""
    gain, error = 100 * (figures.adapted_accuracy.value - figures.frozen_accuracy.value), 100 * figures.gain_error
    return (
        f"Adapted from {figures.parent_backbone}: right {abs(gain):.1f} percentage points "
        f"{'more' if gain >= 0 else 'less'} often (standard error {error:.1f}), on examples held out of its training."
    )
