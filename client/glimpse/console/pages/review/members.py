"""The members of a group as pictures or texts, each of which can be left out."""

from collections.abc import Mapping
from functools import partial

from nicegui import ui

from glimpse.client import Decision, ReviewGroup, ReviewItem
from glimpse.console.components import Tag, counted, original, percent
from glimpse.console.context import Context
from glimpse.console.pages.review.choices import NameOf

_SHOWN = 24
_DECISIONS = {Decision.UNKNOWN: "unknown", Decision.AMBIGUOUS: "unsure", Decision.MATCH: "matched"}


class Members:
    """The members of the group that is shown. A click leaves one out, or takes it in again."""

    def __init__(self, context: Context, items: Mapping[str, ReviewItem], name_of: NameOf) -> None:
        """Adds the element.

        Args:
            context: The page.
            items: What is known of items, by name.
            name_of: Returns the name of a label.
        """
        self._context, self._items, self._name_of = context, items, name_of
        self._group: ReviewGroup | None = None
        self._cards: dict[str, ui.element] = {}
        #: Names of the members that are left out.
        self.left_out: set[str] = set()
        self._box = ui.element("ul").classes("members")
        self._more = ui.element("div").classes("actions")

    def show(self, group: ReviewGroup | None) -> None:
        """Shows the first members of a group."""
        self._group = group
        self.left_out = set()
        self._cards = {}
        self._box.clear()
        self._more.clear()
        if group:
            self._add(0, _SHOWN)

    def _add(self, start: int, end: int) -> None:
        group = self._group
        if group is None:
            return
        with self._box:
            for number, name in enumerate(group.items[start:end], start + 1):
                with ui.element("li"):
                    self._cards[name] = self._card(name, number)
        self._more.clear()
        if left := len(group.items) - end:
            if left < 0:
                return
            with self._more:
                ui.button(f"Show {left:,} more", on_click=partial(self._add, end, end + 4 * _SHOWN)).props(
                    "outline no-caps"
                )
                ui.label("They are named with the others.").classes("note")

    def _card(self, name: str, number: int) -> ui.element:
        caption = describe_item(self._items.get(name), self._name_of)
        with ui.element("button").classes("member").props("type=button aria-pressed=false") as card:
            card.props["aria-label"] = f"Leave out query {number}. {caption}"
            original(self._context, name, f"Query {number}")
            Tag("span", caption).classes("member-caption")
        card.on("click", partial(self._toggle, name))
        return card

    def _toggle(self, name: str) -> None:
        self.left_out ^= {name}
        out = name in self.left_out
        self._cards[name].classes(add="left-out" if out else "", remove="" if out else "left-out")
        self._cards[name].props("aria-pressed=true" if out else "aria-pressed=false")


def describe_item(item: ReviewItem | None, name_of: NameOf) -> str:
    """Returns what a query got, and how many were like it."""
    if item is None:
        return ""
    parts = [_DECISIONS.get(item.decision, "")]
    if item.label:
        parts.append(f"{name_of(item.label)} {percent(item.probability)}")
    if item.count > 1:
        parts.append(counted(item.count, "query", "queries"))
    if item.domain:
        parts.append(item.domain)
    return " · ".join(filter(None, parts))
