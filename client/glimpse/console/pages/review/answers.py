"""The buttons that say what a group is, each with its key."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nicegui import ui
from nicegui.events import ValueChangeEventArguments

from glimpse.client import Label, LabelRole, ReviewGroup
from glimpse.console.components import Tag, label_chip, note, percent
from glimpse.console.pages.review.choices import Choice, NameOf

OnChoice = Callable[[Choice], Awaitable[None]]
_ROLES = {LabelRole.NEGATIVE: " (none of the labels)", LabelRole.UNLABELED: " (no label yet)"}


class Answers:
    """The buttons of the group that is shown."""

    def __init__(
        self,
        name_of: NameOf,
        on_choice: OnChoice,
        on_new: Callable[[str], Any],
        on_vocabulary: Callable[[], Any] | None,
    ) -> None:
        """Adds the elements.

        Args:
            name_of: Returns the name of a label.
            on_choice: Called with what the group is.
            on_new: Called to ask for the name of a new label, with a proposal.
            on_vocabulary: Called to ask for words to propose names from. None: the backbone reads no text.
        """
        self._name_of, self._on_choice, self._on_new = name_of, on_choice, on_new
        self._proposed, self._digits = "", list[str]()
        with ui.element("div").classes("answer-bar").props("role=group aria-label='What is it?'") as self._box:
            self._proposals = ui.element("div").classes("actions")
            self._labels = ui.element("div").classes("actions digits")
            with ui.element("div").classes("actions"):
                key_button("New label", "n", lambda: on_new(""))
                key_button("None of them", "x", lambda: on_choice(Choice(negative=True)))
                key_button("Skip", "s", lambda: on_choice(Choice(skip=True)))
                if on_vocabulary:
                    key_button("Vocabulary", "v", on_vocabulary).classes("minor")
                self._other = ui.select({}, label="Another label (l)", with_input=True)
                self._other.props("outlined dense options-dense").classes("another")
                self._other.on_value_change(self._choose_other)

    def show(self, group: ReviewGroup | None, digits: Sequence[str], labels: Mapping[str, Label]) -> None:
        """Shows the buttons of a group.

        Args:
            group: The group. None: no buttons.
            digits: Ids of the labels of the digits 1 to 9.
            labels: All labels by id.
        """
        self._box.set_visibility(group is not None)
        self._proposed = group.proposed_label if group else ""
        self._proposals.clear()
        if group:
            with self._proposals:
                self._show_proposals(group, some=bool(digits))
        self._digits = []
        self._labels.clear()
        self.extend(digits, labels)

    def extend(self, digits: Sequence[str], labels: Mapping[str, Label]) -> None:
        """Adds buttons for new labels. Digits that people see keep their meaning until the next group."""
        shown = len(self._digits)
        if list(digits[:shown]) != self._digits:
            return
        self._digits = list(digits)
        with self._labels:
            for number, label in enumerate(digits[shown:], shown + 1):
                self._label_button(label, str(number))
        self._other.set_visibility(len(labels) > len(digits))
        options = {name: self._name_of(name) + _ROLES.get(label.role, "") for name, label in labels.items()}
        if options != self._other.options:  # thousands of them are not sent for each group
            self._other.set_options(options)

    def choice_of(self, key: str) -> Choice | None:
        """Returns what a key stands for. None: nothing, or something else than an answer."""
        if key.isdecimal() and 0 < int(key) <= len(self._digits):
            return Choice(label=self._digits[int(key) - 1])
        if key == "a" and self._proposed:
            return Choice(label=self._proposed)
        return {"x": Choice(negative=True), "s": Choice(skip=True)}.get(key)

    def focus_other(self) -> None:
        """Moves the focus to the list of all labels."""
        self._other.run_method("focus")

    def _show_proposals(self, group: ReviewGroup, *, some: bool) -> None:
        if group.proposed_label:
            note("Proposed:")
            label_chip(self._name_of(group.proposed_label), percent(group.probability))
            choice = Choice(label=group.proposed_label)
            key_button("Accept", "a", lambda: self._on_choice(choice)).props("unelevated", remove="outline")
        else:
            note("No label fits well." if some else "There is no label yet. Name the first one: n.")
        if group.names:
            note("New names that fit:")
        for one in group.names:
            button = ui.button(one.name, on_click=lambda _, name=one.name: self._on_new(name))
            button.props("outline no-caps dense")
            button.props["aria-label"] = f"New label {one.name}"

    def _label_button(self, label: str, key: str) -> None:
        with ui.button(on_click=lambda: self._on_choice(Choice(label=label))).props("outline no-caps"):
            Tag("kbd", key)
            label_chip(self._name_of(label))

    async def _choose_other(self, event: ValueChangeEventArguments[Any]) -> None:
        if event.value:
            self._other.set_value(None)
            self._other.run_method("blur")
            await self._on_choice(Choice(label=event.value))


def key_button(text: str, key: str, on_click: Callable[[], Any]) -> ui.button:
    """Adds a button that names its key."""
    with ui.button(on_click=on_click).props("outline no-caps") as button:
        Tag("kbd", key)
        Tag("span", text)
    button.props["aria-keyshortcuts"] = key
    return button
