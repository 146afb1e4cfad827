"""The dialog that creates a collection."""

from nicegui import ui

from glimpse.client import Backbone, Modality, ReviewPolicy
from glimpse.console.components import answer_of, dialog_panel
from glimpse.console.context import Context

_ID_RULE = "1 to 63 lower-case letters, digits and hyphens, starting with a letter"
_KINDS = {Modality.IMAGE: "images", Modality.TEXT: "texts"}


async def create_collection(context: Context) -> None:
    """Asks for a name and a backbone, and creates the collection."""
    with context.busy("Listing backbones"):
        backbones = [one async for one in context.client.list_backbones()]
    with dialog_panel("New collection") as dialog:
        form = _Form(backbones)
        with ui.element("div").classes("actions end"):
            ui.button("Cancel", on_click=lambda: dialog.submit(False)).props("flat no-caps")
            ui.button("Create", on_click=lambda: dialog.submit(True) if form.check() else None).props(
                "unelevated no-caps"
            )
    if not await answer_of(dialog):
        return
    with context.busy("Creating the collection"):
        await form.create(context)
    await context.reload()


class _Form:
    """The fields of the dialog."""

    def __init__(self, backbones: list[Backbone]) -> None:
        self._backbones = {one.name: one for one in backbones}
        self._id = ui.input("Id", validation={f"Use {_ID_RULE}.": _is_id}).props("outlined autofocus autocomplete=off")
        self._id.without_auto_validation()
        self._name = ui.input("Name for people (optional)").props("outlined autocomplete=off maxlength=256")
        choices = {one.name: _describe(one) for one in backbones}
        self._backbone = ui.select(choices, label="Backbone", value=next(iter(choices), None)).props("outlined")
        self._originals = ui.checkbox("Keep the originals of examples, and let callers with the scope enroll see them")
        self._queries = ui.checkbox("Keep unsure queries for review, with their originals")
        self._originals.value = self._queries.value = True

    def check(self) -> bool:
        """Returns whether the id is valid, and says what is wrong with it."""
        return bool(self._id.validate())

    async def create(self, context: Context) -> None:
        """Creates the collection."""
        review = ReviewPolicy(keep_unknown=True, keep_ambiguous=True, keep_inputs=True) if self._queries.value else None
        await context.client.create_collection(
            self._id.value,
            backbone=self._backbone.value or "",
            display_name=self._name.value or "",
            keep_inputs=self._originals.value,
            content_readable=self._originals.value or self._queries.value,
            review_policy=review,
        )


def _is_id(value: str) -> bool:
    plain = value.replace("-", "a")
    return 0 < len(value) <= 63 and plain.isascii() and plain.isalnum() and plain.islower() and value[0].isalpha()


def _describe(backbone: Backbone) -> str:
    kinds = " and ".join(_KINDS[one] for one in backbone.modalities if one in _KINDS)
    return f"{backbone.name.rpartition('/')[2]}: {kinds}, {backbone.dimension} values"
