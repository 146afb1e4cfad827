"""Controls of the map: layout, colours, one class alone, the legend, and steps from point to point."""

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from nicegui import ui

from glimpse.client import GlimpseError
from glimpse.console.components import label_chip, note
from glimpse.console.components.labels import hue_of
from glimpse.console.maps.cache import Map
from glimpse.console.maps.coloring import Classes, Coloring, classes_of
from glimpse.console.maps.layout import Method
from glimpse.console.maps.projection import has_umap
from glimpse.console.pages.map.decisions import Decisions
from glimpse.console.pages.map.scatter import MARKS, NOTHING, PLAIN_FROM

_LEGEND = 24  # classes that the legend names
_CHOICES = 1_000  # classes that can be shown alone
_DECISION_HUES = (145, 0, 40, 275, -1)  # green, red, amber, violet, grey
_NO_UMAP = "For UMAP, install the extra `map` where the console runs: pip install 'glimpse-fewshot[map]'."


class Controls:
    """The controls of one map."""

    def __init__(
        self,
        made: Map,
        decisions: Decisions,
        methods: list[Method],
        fill: Callable[[Method], Awaitable[None]],
        recolor: Callable[[], None],
        step: Callable[[int], Awaitable[None]],
    ) -> None:
        """Adds the controls.

        Args:
            made: The map.
            decisions: The answers to its examples.
            methods: The layouts that can be computed.
            fill: Shows another layout.
            recolor: Called when colours or what is shown have changed.
            step: Awaited with the position of the next point.
        """
        self._made, self._decisions, self._recolor, self._to = made, decisions, recolor, step
        self._coloring = Coloring.LABEL
        self.classes: Classes = classes_of(made, Coloring.LABEL, {})
        #: The class that is shown alone. NOTHING: all are shown.
        self.shown = NOTHING
        #: The point that is selected. NOTHING: none.
        self.at = NOTHING
        self._typical = np.argsort(made.layout.fit.own, kind="stable")  # NaN comes last
        self._legend: ui.element | None = None
        with ui.element("div").classes("toolbar"):
            layout = ui.select([str(one) for one in methods], label="Layout", value=str(made.layout.method))
            layout.props("outlined dense").classes("map-select")
            layout.on_value_change(lambda event: fill(Method(event.value)))
            self._colors = ui.select([str(one) for one in Coloring], label="Colours", value=str(Coloring.LABEL))
            self._colors.props("outlined dense").classes("map-select").on_value_change(self._color_by)
            self._show = ui.select({}, label="Show only", clearable=True, with_input=True)
            self._show.props("outlined dense").classes("map-select wide").on_value_change(self._show_only)
            with ui.element("div").classes("map-steps"):
                ui.button("Previous", on_click=lambda: self._step(-1)).props("outline no-caps")
                ui.button("Next", on_click=lambda: self._step(1)).props("outline no-caps")
        if not has_umap():
            note(_NO_UMAP)
        self._offer_classes()

    @property
    def hues(self) -> list[int]:
        """The hue of each class. Negative: grey."""
        if self._coloring is Coloring.DECISION:
            return list(_DECISION_HUES)
        return [hue_of(name) if name else -1 for name in self.classes.names]

    def add_legend(self) -> None:
        """Adds the legend here."""
        self._legend = ui.element("div").classes("map-legend")
        self._fill_legend()

    async def _color_by(self, event: Any) -> None:
        coloring = Coloring(event.value)
        if coloring is Coloring.DECISION:
            try:
                await self._decisions.read()
            except GlimpseError:
                self._colors.value = str(self._coloring)
                raise  # the frame shows it
            if self._colors.is_deleted or self._colors.value != coloring:
                return  # the page has moved on
        self._coloring = coloring
        self.classes, self.shown = classes_of(self._made, coloring, self._decisions.by_name), NOTHING
        self._offer_classes()
        self._fill_legend()
        self._recolor()
        if coloring is Coloring.DECISION and self.at != NOTHING:
            await self._to(self.at)  # its panel now has the decision too

    def _offer_classes(self) -> None:
        names = {code: self._name(code) for code in self.classes.largest[:_CHOICES] if self.classes.counts[code]}
        self._show.set_options(names, value=None)

    def _show_only(self, event: Any) -> None:
        self.shown = NOTHING if event.value is None else int(event.value)
        self._recolor()

    def _name(self, code: int) -> str:
        return self.classes.names[code] or f"without a {self._coloring.lower()}"

    def _fill_legend(self) -> None:
        if self._legend is None:
            return
        self._legend.clear()
        codes = [code for code in self.classes.largest if self.classes.counts[code]]
        with self._legend:
            for code in codes[:_LEGEND]:
                self._chip(code)
            if len(codes) > _LEGEND:
                note(f"and {len(codes) - _LEGEND:,} more")
            if self._coloring is Coloring.DECISION:
                note(self._decisions.note)

    def _chip(self, code: int) -> None:
        count = f"{self.classes.counts[code]:,}"
        label_chip(self._name(code), count, hue=self.hues[code], mark=self._mark(code))

    def _mark(self, code: int) -> int:
        """Returns the form of the marks of a class, as the drawing chooses it."""
        return 1 if len(self._made.names) > PLAIN_FROM else code % MARKS

    async def _step(self, by: int) -> None:
        """Selects the next or the previous point of what is shown, from the one that fits least."""
        codes = self.classes.codes
        order = [int(one) for one in self._typical if self.shown in (NOTHING, codes[one])]
        start = order.index(self.at) if self.at in order else (-1 if by > 0 else 0)
        await self._to(order[(start + by) % len(order)])
