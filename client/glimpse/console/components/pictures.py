"""Pictures and texts of examples, review items and uploads."""

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import background_tasks, ui

from glimpse.client import GlimpseError, ItemError
from glimpse.console.content import THUMBNAIL, picture_type
from glimpse.console.context import Context

_REASONS = {
    "CONTENT_NOT_READABLE": "The original may not be read: an admin can allow it for this collection.",
    "INPUT_NOT_KEPT": "The original was not kept.",
}


def picture(address: str, alt: str) -> ui.element:
    """Shows a picture by its address, which `session.content` returns.

    Args:
        address: Address of the picture.
        alt: What it shows, for screen readers. Empty: it only decorates.
    """
    image = ui.element("img").classes("picture").props("loading=lazy decoding=async")
    image.props["src"], image.props["alt"] = address, alt
    return image


def sent(context: Context, content: bytes | str, alt: str) -> ui.element:
    """Shows a picture or a text that was sent.

    Args:
        context: The page.
        content: Bytes of a picture, or a text.
        alt: What the picture shows, for screen readers.
    """
    with ui.element("div").classes("original") as box:
        if isinstance(content, str):
            _show_text(content)
        elif picture_type(content):
            picture(context.session.content.put(content), alt)
        else:
            ui.label("Browsers do not show this kind of file.").classes("note")
    return box


def original(context: Context, name: str, alt: str, size: int = THUMBNAIL) -> ui.element:
    """Shows the kept picture or text of an example or a review item, or why there is none.

    The box appears at once and is filled when the server has answered. Many boxes share requests.

    Args:
        context: The page.
        name: Full name of the example or the review item.
        alt: What the picture shows, for screen readers, such as its label.
        size: Largest side of the picture in pixels, 16 to 512.
    """
    box = ui.element("div").classes("original loading")
    background_tasks.create(_fill(context, box, name, alt, size), name="load an original")
    return box


async def _fill(context: Context, box: ui.element, name: str, alt: str, size: int) -> None:
    problem: GlimpseError | ItemError | None = None
    content: bytes | str | None = None
    try:
        kept = await context.session.content.load(name, size)
        problem, content = kept.error, kept.content
    except GlimpseError as error:
        problem = error
    if box.is_deleted:
        return
    box.classes(remove="loading")
    with box:
        if isinstance(content, bytes):
            picture(context.session.content.address_of(name, size), alt)
        elif content is not None:
            _show_text(content)
        else:
            ui.label(_reason(problem)).classes("note")


def _show_text(text: str) -> None:
    # A long text scrolls in its box, also with the keyboard.
    ui.label(text).classes("original-text").props("tabindex=0")


def _reason(problem: GlimpseError | ItemError | None) -> str:
    return "There is no original." if problem is None else _REASONS.get(problem.reason, problem.message)


@contextmanager
def pair() -> Iterator[ui.element]:
    """Places its two elements side by side, at every width."""
    with ui.element("div").classes("pair") as element:
        yield element
