"""The dialog that asks for another label."""

from nicegui import ui

from glimpse.console.components import answer_of, dialog_panel
from glimpse.console.pages.teach.inputs import resolve_label
from glimpse.console.pages.teach.labels import LabelList

#: The hint where a name that is not known makes a new label.
NEW_LABEL = "Its name or its id. A name that is not known makes a new label."


async def ask_label(title: str, labels: LabelList, action: str = "Move", hint: str = NEW_LABEL) -> str:
    """Asks for a label.

    Args:
        title: The question.
        labels: The labels of the collection. A label that is not among them is a new one.
        action: Name of the button that goes on.
        hint: What to type, and what follows.

    Returns:
        The id of the label. Empty: nobody chose one.
    """
    with dialog_panel(title) as dialog:
        typed = ui.input("Label").props("outlined autofocus autocomplete=off spellcheck=false maxlength=128")
        typed.props["hint"] = hint
        with ui.element("div").classes("actions end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
            button = ui.button(action, on_click=lambda: dialog.submit(True)).props("unelevated no-caps")
            button.bind_enabled_from(typed, "value", lambda value: bool((value or "").strip()))
        typed.on("keydown.enter", lambda: dialog.submit(bool(typed.value.strip())))
    return resolve_label(typed.value, labels.names) if await answer_of(dialog) else ""
