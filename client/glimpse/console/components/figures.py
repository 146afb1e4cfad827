"""Figures: a name and a value, several in a row."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from glimpse.console.components.tags import Tag


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
        Tag("dt", name)
        Tag("dd", value).classes("value")
        if hint:
            Tag("dd", hint).classes("hint")
