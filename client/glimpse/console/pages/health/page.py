"""The Health page: its parts, in order."""

from glimpse.client import CollectionReport, Scope
from glimpse.console.components import empty_state, note
from glimpse.console.context import REPORT_SECONDS, Context
from glimpse.console.pages.health.backbones import show_backbones
from glimpse.console.pages.health.changes import Changes
from glimpse.console.pages.health.confusions import show_confusions
from glimpse.console.pages.health.figures import show_advice, show_figures, show_tables
from glimpse.console.pages.health.suspects import show_suspects


async def page(context: Context) -> None:
    """Shows how well the collection does, which examples are suspect, and what to do next."""
    collection = context.collection
    assert collection  # noqa: S101  (the frame asks for one)
    with context.busy("Measuring: each example is left out in turn"):
        report = await context.client.collection_report(collection.name, timeout=REPORT_SECONDS)
        labels = {label.id: label async for label in context.client.list_labels(collection.name, page_size=1000)}
    if not report.labels:
        _show_empty(context, report)
        return
    if collection.index:
        note("Rows of the attached index count in the figures. They have no pictures, and cannot be relabelled here.")
    changes = Changes(context)
    show_figures(report, collection)
    show_advice(report)
    show_suspects(context, report, labels, changes)
    show_confusions(context, report, labels)
    show_tables(report, labels)
    await show_backbones(context, collection)


def _show_empty(context: Context, report: CollectionReport) -> None:
    text = " ".join(report.advice) or "Enroll examples first."
    teach = next((page for page in context.pages if page.path == "teach" and context.may(Scope.ENROLL)), None)
    if teach is None:
        empty_state("There is nothing to measure yet.", text)
    else:
        empty_state("There is nothing to measure yet.", text, teach.title, lambda: context.open(teach))
