"""A finding with both pictures side by side, and what can be done about it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from nicegui import background_tasks, ui

from glimpse.client import AlreadyExists, Collection
from glimpse.console.components import heading, label_chip, move_focus, note, original, pair, sent
from glimpse.console.context import Context
from glimpse.console.errors import title_of
from glimpse.console.pages.teach.changes import Change, Undo, move, remove
from glimpse.console.pages.teach.findings import Finding, Kind
from glimpse.console.pages.teach.labels import LabelList
from glimpse.console.pages.teach.move_dialog import ask_label

OnChange = Callable[[Sequence[str], Sequence[str]], Awaitable[None]]
_TITLES = {
    Kind.FAILED: "Not enrolled",
    Kind.DUPLICATE: "Known already",
    Kind.OUTLIER: "Outlier",
    Kind.NEAR_DUPLICATE: "Near duplicate",
}


class FindingCard:
    """One finding. Once something was done about it, the card says what, and offers the way back."""

    def __init__(
        self, context: Context, collection: Collection, finding: Finding, labels: LabelList, on_change: OnChange
    ) -> None:
        """Adds the card.

        Args:
            context: The page.
            collection: The collection.
            finding: The finding.
            labels: The labels, for their names.
            on_change: Awaited with the full names of new examples that came back and of those that were deleted.
        """
        self._context, self._collection, self._finding = context, collection, finding
        self._labels, self._on_change = labels, on_change
        self._taught = finding.taught
        # Full names of the new example and of the one it is like. An example that comes back has another name.
        self._new = finding.result.example.name if finding.result.example else ""
        self._other = finding.others[0] if finding.others else None
        self._card = ui.element("article").classes("finding")
        with self._card:
            self._head = heading(self._title(), 3)
            ui.label(self._text())
            with pair():
                self._show_sent()
                self._show_other()
            self._actions = ui.element("div").classes("actions")
        self._offer()

    def _title(self) -> str:
        if self._other and self._finding.kind is Kind.CONFLICT:
            return f"{self._name(self._taught.label)} or {self._name(self._other.label)}?"
        return _TITLES[self._finding.kind]

    def _text(self) -> str:
        result, kind = self._finding.result, self._finding.kind
        if result.error:
            return f"{title_of(result.error)}: {result.error.message} ({result.error.reason or result.error.code.name})"
        if self._other:
            likeness = "has the same content" if self._other.similarity == 1 else "is nearly the same"
            more = len(self._finding.others) - 1
            others = f" {more} more {'is' if more == 1 else 'are'} like it." if more else ""
            if kind is Kind.CONFLICT:
                also = " It is far from its own label, too." if result.outlier else ""
                return f"An example of another label {likeness} (cosine {self._other.similarity:.3f}).{others}{also}"
            return f"An example of this label {likeness} (cosine {self._other.similarity:.3f}).{others} It adds little."
        if kind is Kind.OUTLIER:
            return "It is farther from its label than 99 % of the examples are from theirs."
        return "The label has this content already, so nothing changed."

    def _show_sent(self) -> None:
        with ui.element("figure").classes("side"):
            alt = f"New, as {self._name(self._taught.label)}"
            if self._new and self._collection.keep_inputs and self._collection.content_readable:
                original(self._context, self._new, alt)  # a thumbnail, in place of the whole picture
            else:
                sent(self._context, self._taught.content, alt)
            self._caption(self._taught.label, self._taught.name.rpartition("/")[2] or "new")

    def _show_other(self) -> None:
        """Shows what the input is like: of an outlier, the nearest other example of its label."""
        with ui.element("figure").classes("side") as side:
            if self._other:
                self._show_enrolled(self._other.example, self._other.label, "enrolled before")
            elif self._finding.kind is Kind.DUPLICATE:
                self._show_enrolled(self._new, self._taught.label, "enrolled before")
            elif self._finding.kind is Kind.OUTLIER:
                background_tasks.create(self._show_nearest(side), name="find the nearest example", context=side)
            else:
                side.delete()

    async def _show_nearest(self, side: ui.element) -> None:
        client = self._context.client
        example = await client.get_example(self._new, include_vector=True)
        assert example.vector is not None  # noqa: S101  (the request asks for it)
        [result] = await client.search_examples(self._collection, example.vector, top_k=2, labels=[example.label])
        others = [one for one in result.unwrap() if one.example != example.name]
        if side.is_deleted:
            return
        if others:
            hint = f"the nearest of its label, cosine {others[0].similarity:.2f}"
            self._show_enrolled(others[0].example, others[0].label, hint)
        else:
            note("The label has no other example.")

    def _show_enrolled(self, name: str, label: str, hint: str) -> None:
        original(self._context, name, f"Enrolled as {self._name(label)}")
        self._caption(label, hint)

    def _caption(self, label: str, hint: str) -> None:
        with ui.element("figcaption"):
            label_chip(self._name(label))
            note(hint)

    def _offer(self) -> None:
        """Offers what can be done."""
        self._actions.clear()
        kind, other, own = self._finding.kind, self._other, self._taught.label
        with self._actions:
            if other and kind is Kind.CONFLICT:
                self._button(f"It is {self._name(own)}", partial(self._decide, other.example, other.label, own))
                self._button(f"It is {self._name(other.label)}", partial(self._decide, self._new, own, other.label))
                self._button("Keep both", self._card.delete)
            elif kind is Kind.OUTLIER:
                self._button("It is right", self._card.delete)
                self._button("Move", self._move)
                self._button("Delete", self._delete)
            elif kind is Kind.NEAR_DUPLICATE:
                self._button("Keep both", self._card.delete)
                self._button("Delete the new one", self._delete)
            else:
                self._button("Dismiss", self._card.delete)

    def _button(self, text: str, on_click: Callable[[], object]) -> None:
        ui.button(text, on_click=on_click).props("outline no-caps dense")

    async def _decide(self, name: str, old: str, new: str) -> None:
        """Moves one of two examples to the label of the other. If they have the same content, it is deleted instead."""
        with self._context.busy("Moving"):
            try:
                change = await move(self._context, [name], old, new)
            except AlreadyExists:
                change = await remove(self._context, name, self._taught.content)
        await self._done(change, name)

    async def _move(self) -> None:
        label = await ask_label("Move to which label?", self._labels)
        if label:
            with self._context.busy("Moving"):
                change = await move(self._context, [self._new], self._taught.label, label)
            await self._done(change, self._new)

    async def _delete(self) -> None:
        with self._context.busy("Deleting"):
            change = await remove(self._context, self._new, self._taught.content)
        await self._done(change, self._new)

    async def _done(self, change: Change, name: str) -> None:
        self._actions.clear()
        with self._actions:
            status = ui.label(change.text).props("role=status")
            if change.undo:
                self._button("Undo", partial(self._undo, change.undo, name))
        move_focus(status)
        await self._on_change([], [name] if change.deleted else [])

    async def _undo(self, undo: Undo, name: str) -> None:
        with self._context.busy("Undoing"):
            back = await undo()
        if back and name == self._new:
            self._new = back
        elif back and self._other:
            self._other = replace(self._other, example=back)
        self._offer()
        move_focus(self._head)
        await self._on_change([back] if back and back == self._new else [], [])

    def _name(self, label: str) -> str:
        return self._labels.name_of(label)
