"""Comparisons with other loaded backbones: by a re-embedding that runs, or on a sample."""

from collections.abc import Sequence
from functools import partial

from nicegui import ui

from glimpse.client import Backbone, Collection, ComparedBackbone, NotFound, Reembedding, Scope
from glimpse.console.components import estimate, heading, note, table
from glimpse.console.context import REPORT_SECONDS, Context


async def show_backbones(context: Context, collection: Collection) -> None:
    """Shows what other loaded backbones would gain, as far as that can be measured."""
    backbones = [one async for one in context.client.list_backbones()]
    others = other_backbones(collection, backbones)
    with ui.element("section").classes("panel"):
        heading("Another backbone", 2)
        if not others:
            ui.label("The server has loaded no other backbone that reads the same kind of input.")
            return
        _Sample(context, collection).show()
        running = await _reembedding(context, collection)
        for backbone in others:
            _Offer(context, collection, backbone).show(running)


def other_backbones(collection: Collection, backbones: Sequence[Backbone]) -> list[Backbone]:
    """Returns the loaded backbones of other embedding spaces that read what the collection's own one reads."""
    own = next((one for one in backbones if one.embedding_space == collection.embedding_space), None)
    reads = set(own.modalities) if own else set()
    return [
        one
        for one in backbones
        if one.embedding_space != collection.embedding_space and (not reads or reads & set(one.modalities))
    ]


def describe(one: ComparedBackbone) -> str:
    """Returns what the comparison with one backbone means."""
    if one.reason:
        return f"Not compared: {one.reason}."
    gain, low, high = (f"{100 * part:+.0f}".replace("-", "\u2212") for part in (one.gain, one.gain_low, one.gain_high))
    points = f"{gain} points (95 % interval {low} to {high})"
    if one.better:
        return f"{points}: it is better."
    return f"{points}: it is worse." if one.gain_high < 0 else f"{points}: no difference beyond chance."


async def _reembedding(context: Context, collection: Collection) -> Reembedding | None:
    try:
        return await context.client.get_reembedding(collection.name)
    except NotFound:
        return None


class _Sample:
    """The comparison with all other backbones, on a sample of the kept inputs."""

    def __init__(self, context: Context, collection: Collection) -> None:
        self._context, self._collection = context, collection

    def show(self) -> None:
        if not self._context.may(Scope.CLASSIFY) or not self._collection.keep_inputs:
            note("A comparison needs the scope classify, and a collection that keeps its inputs.")
            return
        self._result = ui.element("div").classes("compared").props("role=status")
        with ui.element("div").classes("actions"):
            ui.button("Compare on a sample", on_click=self._measure).props("outline no-caps")

    async def _measure(self) -> None:
        with self._context.busy("Embedding and comparing a sample"):
            report = await self._context.client.collection_report(
                self._collection.name, compare_backbones=True, timeout=REPORT_SECONDS
            )
        comparison = report.backbone_comparison
        assert comparison  # noqa: S101  (the request asks for it)
        self._result.clear()
        with self._result:
            if comparison.reason:
                ui.label(f"Not compared: {comparison.reason}.")
                return
            rows = [
                (one.backbone.rpartition("/")[2], estimate(one.accuracy), estimate(one.own_accuracy), describe(one))
                for one in comparison.backbones
            ]
            columns = ("Backbone", "Accuracy", "This backbone's", "Difference")
            table("Accuracy on a sample", columns, rows, numbers=(1, 2))
            note(
                "Each example of the sample is left out in turn, by either backbone. The report above uses all "
                "examples, so its accuracy differs."
            )


class _Offer:
    """One other backbone."""

    def __init__(self, context: Context, collection: Collection, backbone: Backbone) -> None:
        self._context, self._collection, self._backbone = context, collection, backbone

    def show(self, running: Reembedding | None) -> None:
        name = self._backbone.name.rpartition("/")[2]
        heading(name, 3)
        if self._backbone.description:
            note(self._backbone.description)
        self._result = ui.element("div").classes("compared").props("role=status")
        with ui.element("div").classes("actions"):
            embedded = running is not None and running.shadow.embedding_space == self._backbone.embedding_space
            if embedded and self._context.may(Scope.ADMIN):
                button = ui.button("Measure both on all examples", on_click=self._measure_all)
                button.props("outline no-caps")
                button.props["aria-label"] = f"{button.text}: {name}"
            page = next((one for one in self._context.pages if one.path == "backbones"), None)
            if page and self._context.may(page.scope):
                ui.button(page.title, on_click=partial(self._context.open, page)).props("flat no-caps")

    async def _measure_all(self) -> None:
        with self._context.busy("Measuring both backbones"):
            state = await self._context.client.get_reembedding(
                self._collection.name, measure=True, timeout=REPORT_SECONDS
            )
        self._result.clear()
        with self._result:
            rows = [
                (side.backbone.rpartition("/")[2], estimate(side.figures.accuracy), estimate(side.figures.false_reject))
                for side in (state.current, state.shadow)
                if side.figures
            ]
            table("Both backbones", ("Backbone", "Accuracy", "Own inputs refused"), rows, numbers=(1, 2))
            if state.left_count:
                note(f"{state.left_count:,} examples are not embedded yet.")
