"""The labels of the collection: to choose from, and to drop onto."""

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from glimpse.client import Collection, Label, LabelMode, LabelRole
from glimpse.console.components import Tag, counted, heading, label_dot
from glimpse.console.context import Context

_MAX_READ = 1000  # more labels than that are found by typing them whole
_MAX_SHOWN = 40
_ROLES = {LabelRole.NEGATIVE: "none of these", LabelRole.UNLABELED: "label not known"}


class LabelList:
    """The labels with their numbers of examples, filtered by what is typed."""

    def __init__(
        self,
        context: Context,
        collection: Collection,
        on_choose: Callable[[str], None],
        on_compose: Callable[[], Awaitable[None]],
    ) -> None:
        """Adds the list. It is empty until `load`.

        Args:
            context: The page.
            collection: The collection.
            on_choose: Called with the id of a label that somebody chooses.
            on_compose: Awaited when somebody wants to compose a label, which needs independent labels.
        """
        self._context = context
        self._collection = collection
        self._on_choose = on_choose
        self._labels: dict[str, Label] = {}
        self._typed = self._chosen = ""
        with ui.element("section").classes("panel teach-labels"):
            heading("Labels", 2)
            self._rows = ui.element("div").classes("label-rows")
            self._hint = Tag("p", "").classes("note")
            if collection.label_mode is LabelMode.INDEPENDENT:
                ui.button("Compose a label", on_click=on_compose).props("outline no-caps")
        self._shown: dict[str, _Row] = {}

    @property
    def names(self) -> dict[str, str]:
        """Names for people by the ids of the labels."""
        return {one.id: one.display_name for one in self._labels.values()}

    def name_of(self, label: str) -> str:
        """Returns a label's name for people, or else its id."""
        known = self._labels.get(label)
        return known.display_name or label if known else label

    def count_of(self, label: str) -> int | None:
        """Returns the number of examples of a label. None: the label is not known."""
        known = self._labels.get(label)
        return known.example_count if known else None

    def parts_of(self, label: str) -> str:
        """Returns what a label is composed of: `yellow and spotted, not striped`. Empty: it is not composed."""
        known = self._labels.get(label)
        if known is None or known.composition is None:
            return ""
        parts = " and ".join(map(self.name_of, known.composition.labels))
        return ", not ".join([parts, *map(self.name_of, known.composition.not_labels)])

    @property
    def possible_parts(self) -> dict[str, str]:
        """Names for people of the labels that a composed one can have as parts, by their ids."""
        learned = (one for one in self._labels.values() if one.role not in _ROLES and one.composition is None)
        return {one.id: one.display_name or one.id for one in learned}

    @property
    def can_be_measured(self) -> bool:
        """True if each label has two examples or more, so that one of them can be left out."""
        groups = {one.parent for one in self._labels.values()}  # need no example themselves
        return all(
            one.example_count > 1
            for one in self._labels.values()
            if one.role not in _ROLES and not one.composition and (one.example_count or one.id not in groups)
        )

    async def load(self) -> None:
        """Reads the labels, as they are now."""
        labels: dict[str, Label] = {}
        async for one in self._context.client.list_labels(self._collection, page_size=_MAX_READ):
            labels[one.id] = one
            if len(labels) == _MAX_READ:
                break
        self._labels = labels
        self.show(self._typed, self._chosen)

    def show(self, typed: str, chosen: str) -> None:
        """Shows the labels whose name or id contains what is typed; all of them, if that is a label itself.

        Args:
            typed: The text.
            chosen: Id of the chosen label.
        """
        self._typed, self._chosen = typed, chosen
        if self._rows.is_deleted:
            return
        wanted = "" if chosen in self._labels else typed.strip().casefold()
        matching = [
            one for one in self._labels.values() if wanted in one.id.casefold() or wanted in one.display_name.casefold()
        ]
        shown = {one.id: one for one in matching[:_MAX_SHOWN]}
        if list(shown) != list(self._shown):
            self._rows.clear()
            with self._rows:
                self._shown = {label: _Row(one, partial(self._on_choose, label)) for label, one in shown.items()}
        for label, one in shown.items():
            self._shown[label].update(one, self.name_of(one.parent), chosen=label == chosen)
        self._hint.text = self._describe_rest(len(matching))

    def _describe_rest(self, matching: int) -> str:
        if matching > _MAX_SHOWN:
            return f"and {matching - _MAX_SHOWN:,} more: type a part of the name."
        if not self._labels:
            return "There is no label yet. The first example makes one."
        if not matching:
            return "No label is called that. It will be a new one."
        return "Drop pictures onto a label, or click it."


class _Row:
    """The button of one label. It changes in place, so that it keeps the focus."""

    def __init__(self, label: Label, on_click: Callable[[], None]) -> None:
        with ui.element("button").classes("label-row").props("type=button") as self._button:
            label_dot(label.display_name or label.id)
            self._name = Tag("span", "").classes("label-row-name")
            if label.role in _ROLES:
                Tag("span", _ROLES[label.role]).classes("chip-note")
            if label.composition:
                Tag("span", "composed").classes("chip-note")
            self._parent = Tag("span", "").classes("chip-note")
            self._count = Tag("span", "").classes("label-row-count").props("aria-hidden=true")
        self._button.props["data-drop"] = label.id
        self._button.on("click", on_click)

    def update(self, label: Label, parent: str, *, chosen: bool) -> None:
        """Shows the name, the parent's name, which may be empty, and the number of examples as they are now."""
        self._name.text = label.display_name or label.id
        self._parent.text = f"in {parent}" if parent else ""
        self._count.text = "" if label.composition else f"{label.example_count:,}"
        what = "composed" if label.composition else counted(label.example_count, "example")
        within = f" {self._parent.text}" if parent else ""
        self._button.props["aria-label"] = f"{self._name.text}{within}, {what}"
        self._button.props["aria-pressed"] = "true" if chosen else "false"
