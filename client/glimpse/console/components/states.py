"""Headings, notes, panels, and what a page shows while there is nothing to show."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from glimpse.console.components.tags import Tag


def heading(text: str, level: int = 1) -> Tag:
    """Shows a heading of level 1 to 4."""
    return Tag(f"h{level}", text)


def note(text: str) -> ui.element:
    """Shows a text of minor weight."""
    return ui.label(text).classes("note")


def panel(title: str = "") -> ui.element:
    """Returns a panel with a heading, to use with `with`."""
    element = ui.element("section").classes("panel")
    if title:
        with element:
            heading(title, 2)
    return element


def empty_state(title: str, text: str, action: str = "", on_click: Callable[[], Any] | None = None) -> ui.element:
    """Shows that there is nothing yet, and what to do.

    Args:
        title: What is missing.
        text: What to do.
        action: Name of a button. Empty: none.
        on_click: Called by the button.

    Returns:
        A row for more buttons, to use with `with`.
    """
    with ui.element("div").classes("empty"):
        ui.label(title).classes("empty-title")
        ui.label(text)
        with ui.element("div").classes("actions") as actions:
            if action:
                ui.button(action, on_click=on_click).props("unelevated no-caps")
    return actions


def move_focus(element: ui.element) -> None:
    """Moves the keyboard focus to a text, in place of a button that is gone."""
    element.props["tabindex"] = -1
    element.run_method("focus")
