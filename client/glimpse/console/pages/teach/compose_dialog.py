"""The dialog that composes a label of others."""

from nicegui import ui

from glimpse.client import Collection, Composition
from glimpse.console.components import answer_of, dialog_panel, label_problem, note
from glimpse.console.context import Context
from glimpse.console.pages.teach.labels import LabelList


async def compose_label(context: Context, collection: Collection, labels: LabelList) -> None:
    """Asks for a name and parts, and creates the label.

    Args:
        context: The page.
        collection: A collection of independent labels.
        labels: Its labels, which are read again afterwards.
    """
    parts = labels.possible_parts
    with dialog_panel("Compose a label") as dialog:
        note("It holds where all of its parts hold and none of the others, and needs no examples of its own.")
        name = ui.input("Label", validation=lambda value: label_problem(value or "") or None)
        name.props("outlined autofocus autocomplete=off maxlength=128").without_auto_validation()
        held = _choice(parts, "All of these hold")
        lacking = _choice(parts, "None of these holds")

        def is_complete(_: object) -> bool:
            return bool(held.value) and not label_problem(name.value or "")

        with ui.element("div").classes("actions end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
            button = ui.button("Compose", on_click=lambda: dialog.submit(True)).props("unelevated no-caps")
            button.bind_enabled_from(name, "value", is_complete)
            button.bind_enabled_from(held, "value", is_complete)
    if not await answer_of(dialog):
        return
    with context.busy("Composing the label"):
        composition = Composition(tuple(held.value), tuple(lacking.value))
        await context.client.create_label(collection, name.value.strip(), composition=composition)
    await labels.load()


def _choice(parts: dict[str, str], title: str) -> ui.select:
    return ui.select(parts, label=title, multiple=True, with_input=True).props("outlined use-chips")
