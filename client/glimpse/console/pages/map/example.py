"""The example that is selected on the map, with the examples nearest to it."""

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from glimpse.client import Evidence, Example, Scope
from glimpse.console.components import Tag, ago, heading, label_chip, note, original
from glimpse.console.context import Context
from glimpse.console.maps.cache import Map
from glimpse.console.maps.fit import NOT_MEASURED
from glimpse.console.pages.map.decisions import Decisions
from glimpse.console.pages.map.scatter import NOTHING

_NEIGHBORS = 4
_SIZE = 256
_IN_INDEX = "A row of the attached index. Its rows have no pictures, and their labels cannot change."


class ExamplePanel:
    """The panel beside the map."""

    def __init__(
        self,
        context: Context,
        made: Map,
        decisions: Decisions,
        select: Callable[[int], Awaitable[None]],
        add: Callable[[int], None],
    ) -> None:
        """Adds the panel.

        Args:
            context: The page.
            made: The map.
            decisions: The answers to its examples.
            select: Selects another point.
            add: Adds a point to those that are chosen together, or takes it away.
        """
        self._context, self._made, self._decisions = context, made, decisions
        self._select, self._add = select, add
        self._positions = {name: position for position, name in enumerate(made.names)}
        self._shown = NOTHING
        self.box = ui.element("section").classes("panel map-example").props("tabindex=-1 aria-live=polite")
        self.box.props["aria-label"] = "Selected example"
        self._show_none()

    async def show(self, position: int) -> None:
        """Shows the example of a point. NOTHING: says how to select one."""
        self._shown = position
        if position == NOTHING:
            self._show_none()
            return
        client, name = self._context.client, self._made.names[position]
        with self._context.busy("Reading the example"):
            near: list[Evidence] | None = None
            example = await client.get_example(name, include_vector=True)
            if example.vector is not None and self._context.may(Scope.CLASSIFY):
                [found] = await client.search_examples(name.split("/")[1], [example.vector], top_k=_NEIGHBORS + 1)
                near = [one for one in found.neighbors if one.example != name][:_NEIGHBORS]
        if self._shown == position and not self.box.is_deleted:
            self._show(position, example, near)

    def _show_none(self) -> None:
        self.box.clear()
        with self.box:
            heading("No example is selected", 2)
            note("Click a point of the map, or use Next. Its picture or text appears here, with its neighbours.")

    def _show(self, position: int, example: Example, near: list[Evidence] | None) -> None:
        self.box.clear()
        with self.box:
            heading(example.label or "Without a label", 2)
            if self._made.in_index[position]:
                note(_IN_INDEX)
            else:
                original(self._context, example.name, f"Example of {example.label}", _SIZE)
            with ui.element("dl").classes("map-facts"):
                for term, text in self._facts(position, example):
                    Tag("dt", term)
                    Tag("dd", text)
            if self._context.may(Scope.ENROLL) and not self._made.in_index[position]:
                ui.button("Choose for another label", on_click=lambda: self._add(position)).props("outline no-caps")
            self._show_neighbors(near)

    def _facts(self, position: int, example: Example) -> list[tuple[str, str]]:
        fit, labels = self._made.layout.fit, self._made.layout.labels
        nearest = int(fit.nearest[position])
        facts = [("Left out", answer)] if (answer := self._decisions.describe(example.name)) else []
        facts.append(("Nearest mean", "not measured" if nearest == NOT_MEASURED else labels[nearest]))
        if nearest != NOT_MEASURED:
            facts.append(("Cosine to its label", f"{fit.own[position]:.2f}"))
        facts += [("Domain", example.domain)] if example.domain else []
        facts += [("Group", example.group)] if example.group else []
        facts += [("Enrolled", ago(example.create_time))]
        return facts + sorted(example.metadata.items())

    def _show_neighbors(self, near: list[Evidence] | None) -> None:
        heading("Nearest examples", 3)
        if near is None:
            note("To see them, you need a key with the scope classify.")
        elif not near:
            note("There is no other example.")
        for one in near or []:
            self._show_neighbor(one)

    def _show_neighbor(self, one: Evidence) -> None:
        position = self._positions.get(one.example, NOTHING)
        with ui.element("div").classes("map-neighbor"):
            if position == NOTHING or not self._made.in_index[position]:
                original(self._context, one.example, f"Example of {one.label}", 96)
            with ui.element("div"):
                label_chip(one.label or "without a label")
                note(f"cosine {one.similarity:.2f}")
                if position != NOTHING:
                    button = ui.button("Select", on_click=partial(self._select, position)).props("flat dense no-caps")
                    button.props["aria-label"] = f"Select this neighbour of {one.label}, cosine {one.similarity:.2f}"
