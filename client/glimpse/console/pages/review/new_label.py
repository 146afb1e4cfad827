"""The dialog that asks for the name of a new label."""

from collections.abc import Sequence

from nicegui import ui

from glimpse.console.components import dialog_panel, note
from glimpse.console.pages.review.choices import label_problem


async def ask_label(proposal: str, names: Sequence[str], count: str) -> str:
    """Asks for a name, and returns it. Empty: nobody gave one.

    Args:
        proposal: The text of the field at first.
        names: Names to choose from.
        count: How many queries get it, for people.
    """
    text = f"{count} become its first examples. A label that exists is used as it is."
    with dialog_panel("New label", text) as dialog:
        field = ui.input("Name of the label", value=proposal, validation=_problem)
        field.props("outlined autofocus autocomplete=off maxlength=128")
        field.without_auto_validation()

        def submit() -> None:
            if field.validate():
                dialog.submit(field.value.strip())

        field.on("keydown.enter", submit)
        if names:
            note("Proposed:")
            with ui.element("div").classes("actions"):
                for name in names:
                    ui.button(name, on_click=lambda _, name=name: field.set_value(name)).props("outline no-caps dense")
        with ui.element("div").classes("actions end"):
            ui.button("Cancel", on_click=lambda: dialog.submit("")).props("flat no-caps")
            ui.button("Create and name", on_click=submit).props("unelevated no-caps")
    answer = await dialog
    dialog.delete()
    return answer or ""


def _problem(text: str) -> str | None:
    return label_problem(text.strip()) or None
