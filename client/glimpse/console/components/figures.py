"""Figures: a name and a value, several in a row."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui


@contextmanager
def figures() -> Iterator[ui.element]:
    """Groups figures."""
    with ui.element("dl").classes("figures") as group:
        yield group


def figure(name: str, value: str, hint: str = "") -> None:
    """Shows a figure within `figures`.

    Args:
        name: What is measured.
        value: The value, as text.
        hint: What the value means or is based on. Empty: nothing.
    """
    with ui.element("div").classes("figure"):
        ui.element("dt").text = name
        ui.element("dd").classes("value").text = value
        if hint:
            ui.element("dd").classes("hint").text = hint
