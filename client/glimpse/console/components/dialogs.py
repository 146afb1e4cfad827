"""Questions before something that cannot be undone."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from glimpse.console.components.states import heading


async def confirm(title: str, text: str, action: str) -> bool:
    """Asks whether to go on.

    Args:
        title: The question.
        text: What will happen.
        action: Name of the button that goes on.
    """
    with dialog_panel(title, text) as dialog, ui.element("div").classes("actions end"):
        ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps autofocus")
        ui.button(action, on_click=lambda: dialog.submit(True)).props("unelevated no-caps color=negative")
    return await answer_of(dialog)


async def confirm_by_name(title: str, text: str, name: str, action: str) -> bool:
    """Asks to type a name before something large is deleted.

    Args:
        title: The question.
        text: What will happen.
        name: The name to type.
        action: Name of the button that goes on.
    """
    with dialog_panel(title, text) as dialog:
        typed = ui.input(f"Type {name} to go on").props("outlined autofocus autocomplete=off spellcheck=false")
        with ui.element("div").classes("actions end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
            button = ui.button(action, on_click=lambda: dialog.submit(typed.value == name))
            button.props("unelevated no-caps color=negative").bind_enabled_from(typed, "value", lambda v: v == name)
    return await answer_of(dialog)


@contextmanager
def dialog_panel(title: str, text: str = "") -> Iterator[ui.dialog]:
    """Creates a dialog, in which the elements of the block are placed. `answer_of` opens it."""
    with ui.dialog() as dialog, ui.element("div").classes("dialog panel"):
        dialog.props["aria-label"] = title
        heading(title, 2)
        if text:
            ui.label(text)
        yield dialog


async def answer_of(dialog: ui.dialog) -> bool:
    """Opens a dialog once; returns whether it was submitted with True. A page that left has not."""
    answer = await dialog
    if not dialog.is_deleted:
        dialog.delete()
    return bool(answer)
