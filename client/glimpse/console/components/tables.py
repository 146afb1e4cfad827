"""Small tables."""

from collections.abc import Iterable, Sequence

from nicegui import ui

from glimpse.console.components.tags import Tag


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> None:
    """Shows a table of texts. It scrolls sideways where the window is narrow.

    Args:
        caption: What the table shows, for screen readers.
        columns: Headings of the columns.
        rows: Texts of each row.
        numbers: Indexes of the columns that are aligned to the right.
    """
    with (
        ui.element("div").classes("table-box").props("tabindex=0 role=region") as box,
        ui.element("table"),
    ):
        box.props["aria-label"] = caption
        with ui.element("thead"), ui.element("tr"):
            for number, name in enumerate(columns):
                _cell("th", name, number in numbers).props("scope=col")
        with ui.element("tbody"):
            for row in rows:
                with ui.element("tr"):
                    for number, text in enumerate(row):
                        _cell("td", text, number in numbers)


def _cell(tag: str, text: str, number: bool) -> Tag:
    return Tag(tag, text).classes("number" if number else "")
