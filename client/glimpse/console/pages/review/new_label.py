"""The dialogs that ask for the name of a new label, and for words to propose names from."""

from collections.abc import Sequence

from nicegui import ui

from glimpse.console.components import dialog_panel, label_problem, note
from glimpse.console.pages.review.choices import MAX_WORDS, split_words


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


async def ask_words(words: Sequence[str]) -> list[str] | None:
    """Asks for a vocabulary, and returns it. None: nobody gave one.

    Args:
        words: The vocabulary as it is.
    """
    text = "New labels get their names from these words, one on each line. Without words the backbone's own are used."
    with dialog_panel("Vocabulary", text) as dialog:
        field = ui.textarea("Words", value="\n".join(words), validation=_words_problem)
        field.props("outlined autofocus spellcheck=false")
        field.without_auto_validation()

        def submit() -> None:
            if field.validate():
                dialog.submit(split_words(field.value))

        with ui.element("div").classes("actions end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
            ui.button("Propose names", on_click=submit).props("unelevated no-caps")
    answer: list[str] | None = await dialog
    dialog.delete()
    return answer


def _words_problem(text: str) -> str | None:
    return f"Use at most {MAX_WORDS:,} words." if len(split_words(text)) > MAX_WORDS else None


def _problem(text: str) -> str | None:
    return label_problem(text.strip()) or None
