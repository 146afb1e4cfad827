"""The parts of pictures that are asked about: a box of each, and whether several show one thing."""

from collections.abc import Sequence

from nicegui import ui

from glimpse.client import Image, Region, Text, Views
from glimpse.console.components import Batch

Content = bytes | str
Query = tuple[str, Content]
"""The name of a file, or an empty text, and the content."""
_MIN_VIEWS, _MAX_VIEWS = 2, 32


def box_of(text: str) -> Region | None:
    """Returns the box that is typed as `x, y, width, height`, or None for all of a picture. Raises ValueError."""
    if not text.strip():
        return None
    numbers = [float(part) for part in text.replace(",", " ").split()]
    if len(numbers) != 4:
        raise ValueError("a box has four numbers")
    return Region(*numbers)


class Parts:
    """The fields of the form, and the inputs that they make of queries."""

    def __init__(self, *, visible: bool) -> None:
        """Adds the fields, which are visible where a backbone reads pictures."""
        self._shown: list[Query] = []
        self._box = ui.input("Box of each picture: x, y, width, height").props("outlined clearable")
        self._box.props["hint"] = "In parts of 1, such as 0.25, 0, 0.5, 1. Empty: the whole picture"
        self._views = ui.checkbox("The pictures of one drop show one thing")
        self._box.visible = self._views.visible = visible

    def problem(self) -> str:
        """Returns what must be typed in another way first. Empty: nothing."""
        try:
            box_of(self._box.value or "")
        except ValueError:
            return "A box has four numbers from 0 to 1: x, y, width, height."
        return ""

    def take(self, batch: Batch) -> tuple[list[Query], str]:
        """Returns the queries to ask about now, and a problem, which is empty if there is none.

        The views of one thing are asked about together, once the whole drop has arrived.
        """
        files: list[Query] = [(one.path, one.content) for one in batch.files]
        if not self._views.value or batch.total == 1:
            return files, ""
        if not _MIN_VIEWS <= batch.total <= _MAX_VIEWS:
            return [], f"One thing has {_MIN_VIEWS} to {_MAX_VIEWS} pictures; these are {batch.total:,}."
        self._shown = [*(self._shown if batch.done else []), *files]
        if batch.done + len(files) < batch.total:
            return [], ""
        shown, self._shown = self._shown, []
        return shown, ""

    def are_views(self, queries: Sequence[Query]) -> bool:
        """Returns whether queries show one thing."""
        return bool(self._views.value) and len(queries) > 1

    def inputs(self, queries: Sequence[Query]) -> list[Text | Image | Views]:
        """Returns the inputs that are sent for queries: one for all of them if they show one thing."""
        region = box_of(self._box.value or "")
        inputs = [Text(one) if isinstance(one, str) else Image(one, region) for _, one in queries]
        return [Views(inputs)] if self.are_views(queries) else list(inputs)
