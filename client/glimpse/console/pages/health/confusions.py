"""Labels that are taken for each other, and examples of both."""

import asyncio
from collections.abc import Mapping
from functools import partial

from nicegui import ui

from glimpse.client import AsyncClient, CollectionReport, Confusion, Label
from glimpse.console.components import heading, label_chip, note, original, pair
from glimpse.console.context import Context
from glimpse.console.pages.health.figures import name_of

_EXAMPLES = 6


def show_confusions(context: Context, report: CollectionReport, labels: Mapping[str, Label]) -> None:
    """Shows the confusions, the most frequent first."""
    with ui.element("section").classes("panel"):
        heading("Confusions", 2)
        if not report.confusions:
            ui.label("None: the other examples give every example its own label.")
            return
        with ui.element("ul").classes("confusions"):
            for confusion in report.confusions:
                with ui.element("li"):
                    _Row(context, confusion, labels)


class _Row:
    """One confusion, with examples of both labels on request."""

    def __init__(self, context: Context, confusion: Confusion, labels: Mapping[str, Label]) -> None:
        self._context, self._confusion = context, confusion
        self._names = name_of(labels, confusion.label), name_of(labels, confusion.answered_label)
        times = "once" if confusion.count == 1 else f"{confusion.count:,} times"
        with ui.element("div").classes("actions"):
            label_chip(self._names[0])
            note(f"taken {times} for")
            label_chip(self._names[1])
            self._button = ui.button("Compare", on_click=self._compare).props("flat no-caps dense aria-expanded=false")
            self._button.props["aria-label"] = f"Compare {self._names[0]} and {self._names[1]}"
        self._box = ui.element("div")

    async def _compare(self) -> None:
        """Shows examples of both labels, or hides them again."""
        if self._box.default_slot.children:
            self._box.clear()
            self._button.props("aria-expanded=false")
            return
        client, collection = self._context.client, self._context.collection
        assert collection  # noqa: S101  (the page has one)
        with self._context.busy("Reading examples"):
            read = partial(_first_examples, client, collection.name)
            sides = await asyncio.gather(read(self._confusion.label), read(self._confusion.answered_label))
        if self._box.is_deleted or self._box.default_slot.children:
            return
        self._button.props("aria-expanded=true")
        with self._box, pair():
            for label, names in zip(self._names, sides, strict=True):
                with ui.element("div"):
                    heading(label, 3)
                    with ui.element("div").classes("thumbnails"):
                        for number, name in enumerate(names, 1):
                            original(self._context, name, f"Example {number} of {label}")


async def _first_examples(client: AsyncClient, collection: str, label: str) -> list[str]:
    names: list[str] = []
    async for example in client.list_examples(collection, label=label, page_size=_EXAMPLES):
        names.append(example.name)
        if len(names) == _EXAMPLES:
            break
    return names
