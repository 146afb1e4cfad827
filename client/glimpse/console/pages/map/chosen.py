"""Several examples that get another label together."""

from collections import Counter
from collections.abc import Callable, Sequence

from nicegui import ui

from glimpse.client import Scope
from glimpse.console.components import confirm, counted, heading, label_chip, note
from glimpse.console.context import Context
from glimpse.console.maps.cache import Map

_MOST = 1_000
_BATCH = 256  # examples that one change of the API may have
_LABELS = 8


class Chosen:
    """The points of an area, and those that were added one by one."""

    def __init__(self, context: Context, made: Map, mark: Callable[[Sequence[int]], None]) -> None:
        """Adds the panel, which is empty until something is chosen.

        Args:
            context: The page.
            made: The map.
            mark: Marks positions on the map.
        """
        self._context, self._made, self._mark = context, made, mark
        self._positions: list[int] = []
        self._box = ui.element("div").props("aria-live=polite")

    def toggle(self, position: int) -> None:
        """Adds a point, or takes it away."""
        others = [one for one in self._positions if one != position]
        self.replace(others if len(others) < len(self._positions) else [*others, position])

    def replace(self, positions: list[int]) -> None:
        """Chooses these points in place of the ones before. Rows of the index cannot change, and are left out."""
        if not self._context.may(Scope.ENROLL):
            return
        self._positions = [one for one in positions if not self._made.in_index[one]][:_MOST]
        self._mark(self._positions)
        self._box.clear()
        if positions:
            with self._box:
                self._show(len(positions))

    def _show(self, wanted: int) -> None:
        layout = self._made.layout
        counts = Counter(layout.labels[layout.codes[one]] for one in self._positions)
        with ui.element("section").classes("panel"):
            heading(f"{counted(len(self._positions), 'example')} chosen", 2)
            if len(self._positions) < wanted:
                note(f"Of {wanted:,}: at most {_MOST:,} at once, and no rows of the attached index.")
            if not self._positions:
                return
            with ui.element("div").classes("map-legend"):
                for label, count in counts.most_common(_LABELS):
                    label_chip(label, f"{count:,}")
            names = [name for name in layout.labels if name]
            label = ui.select(names, label="New label", with_input=True).props("outlined dense")
            with ui.element("div").classes("actions"):
                button = ui.button("Relabel", on_click=lambda: self._relabel(label.value))
                button.props("unelevated no-caps").bind_enabled_from(label, "value", bool)
                button.set_enabled(False)
                ui.button("Choose none", on_click=lambda: self.replace([])).props("flat no-caps")

    async def _relabel(self, label: str) -> None:
        names = [self._made.names[one] for one in self._positions]
        text = f"They get the label {label}. Their pictures, vectors and names stay."
        if not await confirm(f"Relabel {counted(len(names), 'example')}?", text, "Relabel"):
            return
        collection = names[0].split("/")[1]
        with self._context.busy("Relabelling") as work:
            for start in range(0, len(names), _BATCH):
                await self._context.client.update_examples(collection, names[start : start + _BATCH], label=label)
                work.advance(min(start + _BATCH, len(names)), len(names))
        await self._context.reload()
