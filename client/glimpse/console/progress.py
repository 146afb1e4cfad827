"""The bar at the top of a page while something runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from nicegui import ui


@dataclass(slots=True)
class Work:
    """One thing that runs.

    Attributes:
        text: What happens, for people.
        progress: The bar.
        done: How much is done.
        total: How much there is. 0: unknown.
    """

    text: str
    progress: "Progress"
    done: int = 0
    total: int = 0

    def advance(self, done: int, total: int) -> None:
        """Shows that `done` of `total` are done."""
        self.done, self.total = done, total
        self.progress.show()


class Progress:
    """Shows the newest work that runs. Screen readers read its text."""

    def __init__(self) -> None:
        self._works: list[Work] = []
        with ui.element("div").classes("progress").props("role=status aria-live=polite") as self._box:
            with ui.element("div").classes("progress-track").props("aria-hidden=true"):
                self._bar = ui.element("div").classes("progress-bar")
            self._text = ui.label().classes("progress-text")
        self.show()

    @contextmanager
    def work(self, text: str) -> Iterator[Work]:
        """Shows progress while a block runs."""
        work = Work(text, self)
        self._works.append(work)
        self.show()
        try:
            yield work
        finally:
            self._works.remove(work)
            self.show()

    def show(self) -> None:
        """Shows the state of the newest work."""
        if self._box.is_deleted:
            return
        work = self._works[-1] if self._works else None
        self._box.classes(add="running" if work else "", remove="" if work else "running")
        share = work.done / work.total if work and work.total else None
        self._bar.classes(add="" if share is None else "counted", remove="counted" if share is None else "")
        self._bar.style(f"width: {100 if share is None else round(100 * share)}%")
        self._text.text = _describe(work) if work else ""


def _describe(work: Work) -> str:
    return f"{work.text}: {work.done:,} of {work.total:,}" if work.total else f"{work.text} …"
