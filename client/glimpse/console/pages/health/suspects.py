"""Examples that are probably mislabelled, each beside the nearest example of the label it looks like."""

from collections.abc import Mapping, Sequence

from nicegui import ui

from glimpse.client import CollectionReport, Label, Scope, SuspectExample
from glimpse.console.components import counted, heading, note
from glimpse.console.context import Context
from glimpse.console.pages.health.changes import Changes
from glimpse.console.pages.health.suspect_card import SuspectCard

_SHOWN = 6


def show_suspects(context: Context, report: CollectionReport, labels: Mapping[str, Label], changes: Changes) -> None:
    """Shows the suspects, the most probable first."""
    with ui.element("section").classes("panel"):
        heading("Suspects", 2)
        if not report.suspects:
            ui.label("None: by the other examples, every example has the right label.")
            return
        confident = sum(one.confident for one in report.suspects)
        how_many = "" if len(report.suspects) == 1 else f"{confident:,} of them "
        sure = f", {how_many}confidently" if confident else ""
        count = counted(len(report.suspects), "example")
        ui.label(f"By the other examples, {count} should have another label{sure}. Look first: many are right.")
        if not context.may(Scope.ENROLL):
            note("Your key may not see originals, relabel or delete: that takes the scope enroll.")
        _Shown(context, report.suspects, labels, changes).more()


class _Shown:
    """The cards that are shown, and a button for more."""

    def __init__(
        self, context: Context, suspects: Sequence[SuspectExample], labels: Mapping[str, Label], changes: Changes
    ) -> None:
        self._context, self._suspects, self._labels, self._changes = context, suspects, labels, changes
        self._count = 0
        self._box = ui.element("div").classes("suspects")
        self._actions = ui.element("div").classes("actions")

    def more(self) -> None:
        end = min(len(self._suspects), self._count + _SHOWN)
        with self._box:
            for suspect in self._suspects[self._count : end]:
                SuspectCard(self._context, suspect, self._labels, self._changes)
        self._count = end
        self._actions.clear()
        if left := len(self._suspects) - end:
            with self._actions:
                ui.button(f"Show more ({left})", on_click=self.more).props("outline no-caps")
