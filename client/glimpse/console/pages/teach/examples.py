"""The examples of one label, to look at, move and delete."""

from collections.abc import AsyncIterator, Callable
from functools import partial

from nicegui import ui

from glimpse.client import Collection, Example
from glimpse.console.components import Tag, confirm, counted, heading, move_focus, original
from glimpse.console.context import Context
from glimpse.console.pages.teach.changes import Undo, move, remove, remove_all
from glimpse.console.pages.teach.label_settings import ask_settings
from glimpse.console.pages.teach.labels import LabelList
from glimpse.console.pages.teach.move_dialog import ask_label

_PAGE = 24


class LabelExamples:
    """A panel with the examples of the chosen label, which is read when somebody asks for it."""

    def __init__(
        self, context: Context, collection: Collection, labels: LabelList, on_merged: Callable[[str], None]
    ) -> None:
        """Adds the panel. It is empty until `offer`.

        Args:
            context: The page.
            collection: The collection.
            labels: The labels.
            on_merged: Called with the id of the label into which the chosen one was merged.
        """
        self._on_merged = on_merged
        self._context, self._collection, self._labels = context, collection, labels
        self._label = ""
        self._listed: AsyncIterator[Example] | None = None
        self._boxes: dict[str, ui.checkbox] = {}
        self._panel = ui.element("section").classes("panel teach-examples")
        self._panel.visible = False

    def offer(self, label: str) -> None:
        """Offers to show the examples of a label.

        Args:
            label: Id of the label. Empty: no label is chosen.
        """
        if label == self._label:
            return
        self._label = label
        self._panel.visible = bool(label)
        self._panel.clear()
        with self._panel:
            name = self._labels.name_of(label)
            with ui.element("div").classes("actions"):
                ui.button(f"Show the examples of {name}", on_click=self._read).props("flat no-caps")
                ui.button(f"Settings of {name}", on_click=self._change_settings).props("flat no-caps")
                ui.button(f"Merge {name} into another label", on_click=self._merge).props("flat no-caps")

    async def _change_settings(self) -> None:
        with self._context.busy("Reading the label"):
            label = await self._context.client.get_label(self._collection, self._label)
        if changes := await ask_settings(label):
            with self._context.busy("Changing the label"):
                await self._context.client.update_label(self._collection, label.id, **changes)
            await self._labels.load()
            ui.notify("Saved.")

    async def _merge(self) -> None:
        old = self._label
        name = self._labels.name_of(old)
        hint = f"It gets the examples of {name}, which is deleted and stays as an alias. There is no undo."
        into = await ask_label(f"Merge {name} into which label?", self._labels, "Merge", hint)
        if not into or into == old:
            return
        with self._context.busy("Merging"):
            merged = await self._context.client.merge_labels(self._collection, [old], into)
        await self._labels.load()
        ui.notify(f"{counted(merged.moved_count, 'example')} moved to {self._labels.name_of(into)}.")
        self._on_merged(into)

    async def _read(self) -> None:
        self._listed = self._context.client.list_examples(self._collection, label=self._label, page_size=_PAGE)
        self._boxes = {}
        self._panel.clear()
        with self._panel:
            heading(f"Examples of {self._labels.name_of(self._label)}", 2)
            self._done = ui.element("div").classes("actions").props("role=status")
            with ui.element("div").classes("actions"):
                self._buttons = (
                    ui.button("Move", on_click=self._move).props("outline no-caps"),
                    ui.button("Delete", on_click=self._delete).props("outline no-caps color=negative"),
                )
                self._chosen = Tag("span", "").classes("note")
            self._tiles = ui.element("div").classes("tiles")
            self._more = ui.button("Show more", on_click=self._read_more).props("flat no-caps").classes("start")
        self._show_chosen()
        await self._read_more()

    async def _read_more(self) -> None:
        assert self._listed  # noqa: S101  (the button comes after `_read`)
        examples = []
        with self._context.busy("Reading examples"):
            async for example in self._listed:
                examples.append(example)
                if len(examples) == _PAGE:
                    break
        with self._tiles:
            for example in examples:
                self._add_tile(example)
        self._more.visible = len(examples) == _PAGE

    def _add_tile(self, example: Example) -> None:
        number = len(self._boxes) + 1
        with ui.element("div").classes("tile"):
            original(self._context, example.name, f"Example {number}")
            box = ui.checkbox(f"Example {number}", on_change=self._show_chosen).props("dense")
        self._boxes[example.name] = box

    def _names(self) -> list[str]:
        return [name for name, box in self._boxes.items() if box.value]

    def _show_chosen(self) -> None:
        count = len(self._names())
        for button in self._buttons:
            button.enabled = bool(count)
        self._chosen.text = f"{counted(count, 'example')} chosen" if count else "Choose examples first."

    async def _move(self) -> None:
        names, label = self._names(), self._label
        new = await ask_label(f"Move {counted(len(names), 'example')} to which label?", self._labels) if names else ""
        if not new:
            return
        with self._context.busy("Moving"):
            change = await move(self._context, names, label, new)
        await self._changed(change.text, change.undo)

    async def _delete(self) -> None:
        names = self._names()
        if len(names) == 1:
            with self._context.busy("Deleting"):
                change = await remove(self._context, names[0])
            await self._changed(change.text, change.undo)
        elif names:
            text = "There is no undo for several examples at once."
            if await confirm(f"Delete {counted(len(names), 'example')}?", text, "Delete"):
                with self._context.busy("Deleting"):
                    await remove_all(self._context, names)
                await self._changed(f"{counted(len(names), 'example')} deleted.", None)

    async def _changed(self, text: str, undo: Undo | None) -> None:
        """Reads the examples again, and shows what was done with the way back."""
        await self._labels.load()
        await self._read()
        with self._done:
            status = ui.label(text)
            if undo:
                ui.button("Undo", on_click=partial(self._undo, undo)).props("outline no-caps dense")
        move_focus(status)

    async def _undo(self, undo: Undo) -> None:
        with self._context.busy("Undoing"):
            await undo()
        await self._changed("Undone.", None)
