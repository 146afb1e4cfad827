"""A log of the page, the last result first, with the figures before and after."""

from collections.abc import Sequence

from nicegui import ui

_SHOWN = 4


class Results:
    """The last results. Screen readers read each of them."""

    def __init__(self) -> None:
        self._box = ui.element("div").classes("results").props("role=log aria-live=polite aria-label='What was done'")
        self._lines: list[ui.element] = []

    def add(self, text: str, details: Sequence[str] = (), *, problem: bool = False) -> None:
        """Adds a result above the others.

        Args:
            text: What happened.
            details: More lines.
            problem: Whether people have to look at it.
        """
        if self._box.is_deleted:
            return
        for line in self._lines:
            line.classes(add="past")
        with self._box, ui.element("div").classes("result problem-result" if problem else "result") as line:
            ui.label(text)
            for one in details:
                ui.label(one).classes("note")
        line.move(target_index=0)
        self._lines.insert(0, line)
        for old in self._lines[_SHOWN:]:
            old.delete()
        del self._lines[_SHOWN:]
