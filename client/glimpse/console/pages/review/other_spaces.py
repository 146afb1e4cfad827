"""Items of another embedding space, which can only be skipped."""

from collections.abc import Sequence

from nicegui import ui

from glimpse.client import ReviewItem
from glimpse.console.components import Tag, counted, heading, note, original
from glimpse.console.context import Context
from glimpse.console.pages.review.choices import NameOf, describe_failures
from glimpse.console.pages.review.members import describe_item

_SHOWN = 24
_LIMIT = 1_000  # items of one call


def show_other_spaces(context: Context, items: Sequence[ReviewItem], name_of: NameOf) -> None:
    """Shows items of another embedding space, with the reason and the one thing to do."""
    collection = context.collection
    assert collection  # noqa: S101  (the page has one)
    with ui.element("section").classes("panel"):
        heading("Of another embedding space", 2)
        ui.label(_reason(items))
        with ui.element("ul").classes("members"):
            for number, item in enumerate(items[:_SHOWN], 1):
                with ui.element("li"), ui.element("div").classes("member"):
                    original(context, item.name, f"Query {number} of another embedding space")
                    Tag("span", describe_item(item, name_of)).classes("member-caption")

        async def skip() -> None:
            with context.busy("Skipping"):
                names = [item.name for item in items[:_LIMIT]]
                resolution = await context.client.resolve_review_items(collection, names, skip=True)
            for line in describe_failures(resolution.failed, name_of):
                ui.notify(line)
            await context.reload()

        with ui.element("div").classes("actions"):
            ui.button(f"Skip {'them' if len(items) > 1 else 'it'}", on_click=skip).props("outline no-caps")
            if len(items) > _SHOWN:
                note(f"{len(items) - _SHOWN:,} more are not shown.")


def _reason(items: Sequence[ReviewItem]) -> str:
    """Returns why these items cannot be named."""
    verb = "was" if len(items) == 1 else "were"
    text = f"{counted(len(items), 'query', 'queries')} {verb} kept by another backbone, so no label can be given."
    later = sum(bool(item.content_bytes) for item in items)
    if later == len(items):
        return f"{text} The server embeds them again in the background: come back later, or skip them."
    if not later:
        return f"{text} Only vectors were kept, so they cannot be embedded again: skip them."
    return f"{text} {later:,} with a kept original are embedded again in the background. The others: skip them."
