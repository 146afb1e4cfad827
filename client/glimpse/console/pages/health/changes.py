"""Says that the report is older than what was changed on the page."""

from nicegui import ui

from glimpse.console.components import counted
from glimpse.console.context import Context


class Changes:
    """A line that appears with the first change."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._count = 0
        self._box = ui.element("div").classes("stale").props("role=status")

    def add(self, number: int = 1) -> None:
        """Counts a change, or takes one back with -1."""
        self._count = max(0, self._count + number)
        self._box.clear()
        if not self._count:
            return
        with self._box:
            ui.label(f"{counted(self._count, 'change')} since this report. The figures below are from before.")
            ui.button("Measure again", on_click=self._context.reload).props("outline no-caps dense")
