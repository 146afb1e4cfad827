"""One suspect beside what it looks like: relabel it, delete it, or say that it is right."""

from collections.abc import Mapping

from nicegui import background_tasks, ui

from glimpse.client import Example, GlimpseError, Label, Scope, SuspectExample
from glimpse.console.components import Tag, confirm, dialog_panel, label_chip, move_focus, note, original, pair, percent
from glimpse.console.context import Context
from glimpse.console.pages.health.changes import Changes
from glimpse.console.pages.health.figures import name_of


class SuspectCard:
    """The card of one suspect."""

    def __init__(
        self, context: Context, suspect: SuspectExample, labels: Mapping[str, Label], changes: Changes
    ) -> None:
        """Adds the card. The example that it looks like follows.

        Args:
            context: The page.
            suspect: The suspect.
            labels: The labels of the collection by id.
            changes: Counts what is changed.
        """
        self._context, self._suspect, self._labels, self._changes = context, suspect, labels, changes
        assert context.collection  # noqa: S101  (the page has one)
        self._collection = context.collection.name
        self._own, self._other = name_of(labels, suspect.label), name_of(labels, suspect.answered_label)
        with ui.element("article").classes("suspect") as self._box:
            self._box.props["aria-label"] = f"Example of {self._own} that looks like {self._other}"
            self._show()
        background_tasks.create(self._show_nearest(), name="find what a suspect looks like")

    def _show(self) -> None:
        suspect = self._suspect
        with pair():
            with ui.element("figure"):
                original(self._context, suspect.example, f"The suspect, labelled {self._own}")
                with ui.element("figcaption"):
                    note("is")
                    label_chip(self._own, percent(suspect.own_probability))
            with ui.element("figure"):
                self._nearest = ui.element("div").classes("nearest")
                with ui.element("figcaption"):
                    note("looks like")
                    label_chip(self._other, percent(suspect.probability))
        note("Confident." if suspect.confident else "Not confident: it is often right as it is.")
        if not self._context.may(Scope.ENROLL):
            return
        with ui.element("div").classes("actions"):
            self._button(f"Relabel as {self._other}", lambda: self._relabel(suspect.answered_label), "unelevated")
            self._button("Other label", self._choose, "outline")
            self._button("It is right", self._keep, "flat")
            self._button("Delete", self._delete, "flat").props("color=negative")

    def _button(self, text: str, on_click: object, kind: str) -> ui.button:
        button = ui.button(text, on_click=on_click).props("no-caps dense")  # type: ignore[arg-type]
        button.props[kind] = True
        return button

    async def _show_nearest(self) -> None:
        """Shows the nearest example of the label that the suspect looks like."""
        client, suspect = self._context.client, self._suspect
        try:
            example: Example = await client.get_example(suspect.example, include_vector=True)
            assert example.vector  # noqa: S101  (it was requested)
            [found] = await client.search_examples(
                self._collection, [example.vector], top_k=1, labels=[suspect.answered_label]
            )
            nearest = found.unwrap()
        except GlimpseError as error:
            if not self._nearest.is_deleted:
                with self._nearest:
                    note(error.message)
            return
        if self._nearest.is_deleted:
            return
        with self._nearest:
            if nearest:
                original(self._context, nearest[0].example, f"The nearest example of {self._other}")
            else:
                note("It has no example: its prompts answer.")

    async def _relabel(self, label: str) -> None:
        with self._context.busy("Relabelling"):
            await self._context.client.update_examples(self._collection, [self._suspect.example], label=label)
        self._changes.add()
        self._replace(f"Relabelled: {self._own} → {name_of(self._labels, label)}.", undo=True)

    async def _undo(self) -> None:
        with self._context.busy("Relabelling"):
            await self._context.client.update_examples(
                self._collection, [self._suspect.example], label=self._suspect.label
            )
        self._changes.add(-1)
        self._replace(f"It is {self._own} again.", undo=False)

    async def _delete(self) -> None:
        text = f"This deletes the example of {self._own} and its kept original. There is no undo."
        if not await confirm("Delete this example?", text, "Delete"):
            return
        with self._context.busy("Deleting"):
            await self._context.client.delete_examples(self._collection, [self._suspect.example])
        self._changes.add()
        self._replace(f"Deleted: an example of {self._own}.", undo=False)

    def _keep(self) -> None:
        self._replace(f"Kept as {self._own}. The next report may name it again.", undo=False)

    async def _choose(self) -> None:
        options = {name: name_of(self._labels, name) for name in self._labels if name != self._suspect.label}
        with dialog_panel("Relabel the example") as dialog:
            field = ui.select(options, label="Label", with_input=True).props("outlined autofocus")
            with ui.element("div").classes("actions end"):
                ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
                button = ui.button("Relabel", on_click=lambda: dialog.submit(field.value)).props("unelevated no-caps")
                button.bind_enabled_from(field, "value", bool)
        label = await dialog
        dialog.delete()
        if label:
            await self._relabel(label)

    def _replace(self, text: str, *, undo: bool) -> None:
        """Shows what was done in place of the card."""
        if self._box.is_deleted:
            return
        self._box.clear()
        with self._box:
            status = Tag("p", text).props("role=status")
            if undo:
                with ui.element("div").classes("actions"):
                    ui.button("Undo", on_click=self._undo).props("outline no-caps dense")
        move_focus(status)
