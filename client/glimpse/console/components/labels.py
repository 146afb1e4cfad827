"""Labels as chips, and probabilities as bars."""

import zlib
from collections.abc import Iterable

from nicegui import ui

from glimpse.console.components.tags import Tag
from glimpse.console.components.texts import percent

_HUES = 24
_MAX_ID = 128  # characters of the id of a label


def label_chip(label: str, note: str = "", *, hue: int | None = None, mark: int = 0) -> ui.element:
    """Shows a label with a dot of its own colour, which is the same on every page.

    Args:
        label: Name of the label.
        note: A short text after it, such as a count.
        hue: Hue of the dot in degrees, in place of the label's own. Negative: grey.
        mark: Form of the dot: 0 a circle, 1 a square, 2 a triangle, 3 a diamond.
    """
    with ui.element("span").classes("chip") as chip:
        label_dot(label, hue, mark)
        Tag("span", label).classes("chip-text")
        if note:
            Tag("span", note).classes("chip-note")
    return chip


def label_dot(label: str, hue: int | None = None, mark: int = 0) -> ui.element:
    """Shows a dot in the colour of a label. For `hue` and `mark` see `label_chip`."""
    shown = hue_of(label) if hue is None else hue
    dot = ui.element("span").classes("dot" if shown >= 0 else "dot grey").props("aria-hidden=true")
    dot.style(f"--hue: {shown}").props["data-mark"] = str(mark)
    return dot


def hue_of(label: str) -> int:
    """Returns the hue of a label, in degrees."""
    return zlib.crc32(label.encode()) % _HUES * (360 // _HUES)


def probability_bars(rows: Iterable[tuple[str, float]]) -> ui.element:
    """Shows labels with their probabilities in [0, 1], each with a bar."""
    with ui.element("ul").classes("bars") as bars:
        for label, probability in rows:
            with ui.element("li"):
                Tag("span", label).classes("bar-label")
                with ui.element("span").classes("bar-track").props("aria-hidden=true"):
                    ui.element("span").classes("bar").style(f"width: {100 * probability:.1f}%; --hue: {hue_of(label)}")
                Tag("span", percent(probability)).classes("bar-value")
    return bars


def label_problem(text: str) -> str:
    """Returns what is wrong with the id of a new label. Empty: nothing."""
    if not text:
        return "Type a name."
    if len(text) > _MAX_ID:
        return f"Use at most {_MAX_ID} characters."
    if "/" in text or not text.isprintable():
        return "Use no slash and no control characters."
    return ""
