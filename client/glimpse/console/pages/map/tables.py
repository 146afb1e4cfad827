"""The map in words, for those who do not see or point: labels with their neighbours, and examples that fit badly."""

from collections.abc import Awaitable, Callable
from functools import partial

import numpy as np
from nicegui import ui

from glimpse.console.components import Tag, counted, heading, note, original, table
from glimpse.console.context import Context
from glimpse.console.maps.cache import Map
from glimpse.console.maps.fit import NOT_MEASURED

_LABELS = 100
_OUTLIERS = 8


def show_labels(made: Map) -> None:
    """Shows a table of the labels: how close their examples are, and which label is nearest."""
    layout = made.layout
    counts = np.bincount(layout.codes, minlength=len(layout.labels))
    codes = sorted(range(len(layout.labels)), key=lambda code: (-counts[code], layout.labels[code]))
    heading("Labels on this map", 2)
    note(
        "Tightness is the mean cosine of an example to the mean of its label without it. Elsewhere counts the examples "
        "that lie nearer to the mean of another label."
    )
    rows = [(layout.labels[code] or "without a label", f"{counts[code]:,}", *_row(made, code)) for code in codes]
    columns = ("Label", "Examples", "Tightness", "Elsewhere", "Nearest label", "Cosine to it")
    table("Labels on this map", columns, rows[:_LABELS], numbers=(1, 2, 3, 5))
    if len(rows) > _LABELS:
        note(f"The {_LABELS} labels with most examples, of {len(rows):,}.")


def _row(made: Map, code: int) -> tuple[str, str, str, str]:
    layout, fit = made.layout, made.layout.fit
    members = (layout.codes == code) & (fit.nearest != NOT_MEASURED)
    tight, elsewhere = "—", "—"
    if members.any():
        tight = f"{fit.own[members].mean():z.2f}"
        elsewhere = f"{int((fit.nearest[members] != code).sum()):,}"
    near = int(fit.neighbor[code])
    if near == NOT_MEASURED:
        return tight, elsewhere, "—", "—"
    return tight, elsewhere, layout.labels[near], f"{fit.neighbor_cosine[code]:.2f}"


def show_outliers(context: Context, made: Map, select: Callable[[int], Awaitable[None]]) -> None:
    """Shows the examples that fit their labels least."""
    layout, fit = made.layout, made.layout.fit
    order = [int(one) for one in np.argsort(fit.own, kind="stable") if fit.nearest[one] != NOT_MEASURED]
    heading("Examples that fit their label least", 2)
    if not order:
        note("No label has two examples, so none can be left out.")
        return
    note(f"Of {counted(len(order), 'example')} whose label has others, by the cosine to the mean of those.")
    with ui.element("ul").classes("gallery map-outliers"):
        for position in order[:_OUTLIERS]:
            label, nearest = layout.labels[layout.codes[position]], layout.labels[fit.nearest[position]]
            with ui.element("li"):
                if made.in_index[position]:
                    note("A row of the attached index has no picture.")
                else:
                    original(context, made.names[position], f"Example of {label}")
                Tag("span", label).classes("map-outlier-label")
                note(f"cosine {fit.own[position]:.2f}" + (f", nearer to {nearest}" if nearest != label else ""))
                button = ui.button("Select", on_click=partial(select, position)).props("outline no-caps")
                button.props["aria-label"] = f"Select this example of {label}"
