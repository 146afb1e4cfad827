"""Comparisons with other loaded backbones: by a re-embedding that runs, or on a sample."""

from collections.abc import Sequence
from functools import partial

from nicegui import ui

from glimpse.client import Backbone, Collection, CollectionReport, NotFound, Reembedding, Scope
from glimpse.console.components import estimate, heading, note, percent, table
from glimpse.console.context import REPORT_SECONDS, Context
from glimpse.console.pages.health.sample import read_sample
from glimpse.console.pages.health.trial import Trial, compare


async def show_backbones(context: Context, collection: Collection, report: CollectionReport) -> None:
    """Shows what other loaded backbones would gain, as far as that can be measured."""
    backbones = [one async for one in context.client.list_backbones()]
    others = other_backbones(collection, backbones)
    with ui.element("section").classes("panel"):
        heading("Another backbone", 2)
        if not others:
            ui.label("The server has loaded no other backbone that reads the same kind of input.")
            return
        running = await _reembedding(context, collection)
        for backbone in others:
            _Offer(context, collection, report, backbone).show(running)


def other_backbones(collection: Collection, backbones: Sequence[Backbone]) -> list[Backbone]:
    """Returns the loaded backbones of other embedding spaces that read what the collection's own one reads."""
    own = next((one for one in backbones if one.embedding_space == collection.embedding_space), None)
    reads = set(own.modalities) if own else set()
    return [
        one
        for one in backbones
        if one.embedding_space != collection.embedding_space and (not reads or reads & set(one.modalities))
    ]


def describe_trial(trial: Trial) -> str:
    """Returns what a comparison means."""
    gain, low, high = (f"{100 * part:+.0f}".replace("-", "\u2212") for part in (trial.gain, trial.low, trial.high))
    points = f"{gain} points (95 % interval {low} to {high})"
    if trial.low > 0:
        return f"{points}: it is better."
    return f"{points}: it is worse." if trial.high < 0 else f"{points}: no difference beyond chance."


async def _reembedding(context: Context, collection: Collection) -> Reembedding | None:
    try:
        return await context.client.get_reembedding(collection.name)
    except NotFound:
        return None


class _Offer:
    """One other backbone."""

    def __init__(self, context: Context, collection: Collection, report: CollectionReport, backbone: Backbone) -> None:
        self._context, self._collection, self._report, self._backbone = context, collection, report, backbone

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
            elif not self._context.may(Scope.ENROLL) or not self._collection.content_readable:
                note("A comparison needs the originals: the scope enroll, and originals that may be read.")
                return
            else:
                button = ui.button("Compare on a sample", on_click=self._measure_sample)
            button.props("outline no-caps")
            button.props["aria-label"] = f"{button.text}: {name}"
            page = next((one for one in self._context.pages if one.path == "backbones"), None)
            if page and self._context.may(page.scope):
                ui.button(page.title, on_click=partial(self._context.open, page)).props("flat no-caps")

    async def _measure_sample(self) -> None:
        labels = sorted(one.label for one in self._report.labels if one.example_count > 1)
        with self._context.busy("Embedding a sample") as work:
            client = self._context.client
            sample = await read_sample(client, self._collection, labels, self._backbone.name, work)
        with self._context.busy("Comparing"):
            values = (sample.labels, sample.current, sample.other) if sample else None
            trial = await self._context.compute(compare, *values) if values else None
        self._result.clear()
        with self._result:
            if trial is None:
                ui.label("Not compared: that takes two labels with two kept originals each.")
                return
            rows = [("This backbone", percent(trial.current)), ("The other one", percent(trial.other))]
            table("Accuracy on a sample", ("Backbone", "Accuracy"), rows, numbers=(1,))
            ui.label(describe_trial(trial))
            note(
                f"By the nearest mean of each label, with each of {trial.count:,} examples left out in turn. The report"
                " above uses all examples and the collection's own head, so its accuracy differs."
            )

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
