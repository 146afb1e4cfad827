"""The page of all collections: how each does, what to do next, create, delete."""

import asyncio

from nicegui import background_tasks, ui

from glimpse.client import Collection, CollectionFigures, CollectionReport, Estimate, GlimpseError, Scope
from glimpse.console.components import (
    confirm_by_name,
    counted,
    empty_state,
    figure,
    figures,
    heading,
    interval,
    note,
    percent,
)
from glimpse.console.context import Context
from glimpse.console.pages.create_collection import create_collection

_REPORTS_AT_ONCE = 3
_MEASURED = 24  # cards that are measured without a click
_MANY = 12  # collections from which on a field finds one
_DAYS = 30


async def page(context: Context) -> None:
    """Shows a card for each collection. The figures, which take seconds for large ones, follow."""
    cards: list[_Card] = []
    with ui.element("div").classes("toolbar"):
        if context.caller.scope >= Scope.ADMIN:
            ui.button("New collection", on_click=lambda: create_collection(context)).props("unelevated no-caps")
        if len(context.collections) > _MANY:
            find = ui.input("Find a collection").props("outlined dense clearable type=search")
            find.on_value_change(lambda event: _show_matching(cards, event.value or ""))
    if not context.collections:
        await _show_none(context)
        return
    info = await context.client.server_info()
    recent = {one.name.rpartition("/")[2]: one for one in info.collections}
    reports = asyncio.Semaphore(_REPORTS_AT_ONCE)
    with ui.element("div").classes("cards"):
        for number, collection in enumerate(context.collections.values()):
            card = _Card(context, collection, recent.get(collection.id))
            card.start(reports) if number < _MEASURED else card.offer(reports)
            cards.append(card)


def _show_matching(cards: list["_Card"], text: str) -> None:
    for card in cards:
        card.show_if_matching(text.casefold())


async def _show_none(context: Context) -> None:
    if context.caller.scope >= Scope.ADMIN:
        text = "A collection holds labels, and examples of each. Create one, and then teach it: one example is enough."
    else:
        text = "Somebody with an admin key can create one, or give your key access to one."
    empty_state("There is no collection yet.", text)


class _Card:
    """The card of one collection."""

    def __init__(self, context: Context, collection: Collection, recent: CollectionFigures | None) -> None:
        self._context = context
        self._collection = collection
        self._recent = recent
        self._names = f"{collection.id} {collection.display_name}".casefold()
        with ui.element("article").classes("card panel") as self._box:
            heading(collection.display_name or collection.id, 2)
            note(_summary(collection))
            self._figures = ui.element("div").classes("card-figures")
            self._advice = ui.element("div").classes("advice")
            self._add_actions()

    def show_if_matching(self, text: str) -> None:
        """Shows the card if its id or its name contains a text."""
        self._box.set_visibility(text in self._names)

    def offer(self, reports: asyncio.Semaphore) -> None:
        """Shows a button that requests the figures."""
        with self._figures:
            button = ui.button("Measure", on_click=lambda: self.start(reports)).props("outline no-caps")
            button.props["aria-label"] = f"Measure {self._collection.id}"

    def start(self, reports: asyncio.Semaphore) -> None:
        """Requests the figures in the background."""
        self._figures.clear()
        with self._figures:
            ui.label("Measuring …").classes("note").props("role=status")
        background_tasks.create(self._measure(reports), name="measure a collection")

    async def _measure(self, reports: asyncio.Semaphore) -> None:
        client, name = self._context.client, self._collection.name
        try:
            async with reports:
                report = await client.collection_report(name)
                days = await client.decision_counts(name, days=_DAYS)
        except GlimpseError as error:
            self._show_problem(error)
            return
        answered, unknown = sum(day.count for day in days), sum(day.unknown for day in days)
        if not self._figures.is_deleted:
            self._show(report, answered, unknown)

    def _show(self, report: CollectionReport, answered: int, unknown: int) -> None:
        self._figures.clear()
        accuracy = report.accuracy
        with self._figures, figures():
            figure("Accuracy", percent(accuracy.value if accuracy else None), _accuracy_hint(accuracy))
            rate = percent(unknown / answered) if answered else "—"
            figure("Unknown", rate, f"of {counted(answered, 'query', 'queries')} in {_DAYS} days")
            drift = self._recent.drift if self._recent else None
            figure("Drift", "—" if drift is None else f"{drift:.1f}", _drift_hint(drift))
        with self._advice:
            heading("What to do next", 3)
            ui.label(report.advice[0] if report.advice else "Nothing: ask it.")

    def _show_problem(self, error: GlimpseError) -> None:
        if not self._figures.is_deleted:
            self._figures.clear()
            with self._figures:
                note(f"Not measured: {error.message}")

    def _add_actions(self) -> None:
        collection = self._collection
        with ui.element("div").classes("actions"):
            for page in self._context.pages:
                if page.of_collection and self._context.may(page.scope, collection):
                    link = ui.link(page.title, page.address(collection.id)).classes("action")
                    link.props["aria-label"] = f"{page.title} {collection.id}"
            if self._context.may(Scope.ADMIN, collection):
                button = ui.button("Delete", on_click=self._delete).props("flat no-caps color=negative").classes("last")
                button.props["aria-label"] = f"Delete {collection.id}"

    async def _delete(self) -> None:
        collection = self._collection
        what = f"{counted(collection.label_count, 'label')} and {counted(collection.example_count, 'example')}"
        text = f"This deletes {what} with their kept originals and the queries kept for review. There is no undo."
        if not await confirm_by_name(f"Delete {collection.id}?", text, collection.id, "Delete"):
            return
        with self._context.busy(f"Deleting {collection.id}"):
            await self._context.client.delete_collection(collection.name, force=True)
        await self._context.reload()


def _summary(collection: Collection) -> str:
    name = f"{collection.id} · " if collection.display_name else ""
    counts = f"{counted(collection.label_count, 'label')} · {counted(collection.example_count, 'example')}"
    backbone = collection.backbone.rpartition("/")[2]
    index = " · with an attached index" if collection.index else ""
    return f"{name}{counts}{index} · {backbone}"


def _accuracy_hint(accuracy: Estimate | None) -> str:
    if accuracy is None:
        return "too few examples that differ"
    return f"{interval(accuracy)}, of {counted(accuracy.count, 'example')}"


def _drift_hint(drift: float | None) -> str:
    if drift is None:
        return "needs 50 queries and 10 examples"
    return "queries are like the examples" if drift < 1 else "queries differ from the examples"
