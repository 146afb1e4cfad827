"""The list of the groups that wait."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from glimpse.client import ReviewGroup
from glimpse.console.components import Tag, counted
from glimpse.console.pages.review.board import Board
from glimpse.console.pages.review.queue import Queue

_SHOWN = 40


class GroupList:
    """Buttons that show a group, in the order of the queue."""

    def __init__(self, board: Board, on_select: Callable[[int], Any]) -> None:
        self._board, self._on_select = board, on_select
        self._box = ui.element("nav").classes("group-list").props("aria-label='Groups that wait'")

    def show(self, queue: Queue) -> None:
        """Shows the groups around the current one."""
        self._box.clear()
        start = max(0, min(queue.position - _SHOWN // 2, len(queue.groups) - _SHOWN))
        with self._box:
            for place, group in enumerate(queue.groups[start : start + _SHOWN], start):
                self._button(group, place, current=place == queue.position)
            if (more := len(queue.groups) - start - _SHOWN) > 0:
                ui.label(f"and {more:,} more").classes("note")

    def _button(self, group: ReviewGroup, place: int, *, current: bool) -> None:
        with ui.element("button").classes("group-button").props("type=button") as button:
            Tag("span", self._name(group)).classes("group-name")
            Tag("span", counted(group.size, "query", "queries")).classes("note")
        if current:
            button.props("aria-current=true")
        button.on("click", lambda: self._on_select(place))

    def _name(self, group: ReviewGroup) -> str:
        if group.proposed_label:
            return f"{self._board.name_of(group.proposed_label)}?"
        if group.names:
            return f"new: {group.names[0].name}?"
        likely = self._board.likely(group)
        return f"near {self._board.name_of(likely[0])}" if likely else "like no label"
