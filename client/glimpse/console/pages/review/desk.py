"""The groups, the keys, and what happens when one is pressed."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from nicegui import ui

from glimpse.client import FailedPrecondition, GlimpseError, NotFound, ReviewGroup, ReviewGroupChanged
from glimpse.console.components import counted, heading
from glimpse.console.context import Context
from glimpse.console.pages.review.answers import Answers, key_button
from glimpse.console.pages.review.board import Board
from glimpse.console.pages.review.choices import Choice, describe_change, describe_group, describe_result, digit_labels
from glimpse.console.pages.review.group_list import GroupList
from glimpse.console.pages.review.keys import listen
from glimpse.console.pages.review.members import Members
from glimpse.console.pages.review.new_label import ask_label, ask_words
from glimpse.console.pages.review.overview import Overview
from glimpse.console.pages.review.queue import Queue
from glimpse.console.pages.review.resolver import Resolver
from glimpse.console.pages.review.results import Results

_LOOK_SECONDS = 5.0


class Desk:
    """One group after another, until none is left."""

    def __init__(self, context: Context, board: Board) -> None:
        """Adds the parts of the page, and shows the first group of `board`."""
        self._context, self._board = context, board
        self._queue, self._left = Queue(board.groups), board.waiting
        self._resolver = Resolver(context.client, board.collection.name)
        self._overview = Overview()
        with ui.element("div").classes("desk"):
            self._list = GroupList(board, self._select)
            with ui.element("section").classes("panel group") as self._box:
                self._add_parts()
        listen(self._use_keys, self._answers.choice_of, self.choose, self._actions())
        ui.timer(_LOOK_SECONDS, self._look_for_more)
        self._show(focus=False)

    def _add_parts(self) -> None:
        with ui.element("div").classes("toolbar"):
            with ui.element("div").classes("group-head").props("role=group tabindex=-1") as self._head:
                self._title, self._note = heading("", 2), ui.label("").classes("note")
            self._use_keys = ui.switch("Keys", value=True).props("dense")
            key_button("Previous", "k", partial(self._move, -1))
            key_button("Next", "j", partial(self._move, 1))
            key_button("Undo", "u", self.undo)
        self._results = Results()
        self._members = Members(self._context, self._board.items, self._board.name_of)
        words = self.propose if self._board.reads_text else None
        self._answers = Answers(self._board.name_of, self.choose, self.name_new, words)

    def _actions(self) -> Mapping[str, Callable[[], Any]]:
        """Returns what the keys do that are no answers."""
        actions: dict[str, Callable[[], Any]] = {"n": self.name_new, "u": self.undo, "l": self._answers.focus_other}
        actions |= dict.fromkeys(("k", "arrowleft"), partial(self._move, -1))
        actions |= dict.fromkeys(("j", "arrowright"), partial(self._move, 1))
        return actions | ({"v": self.propose} if self._board.reads_text else {})

    def _show(self, *, focus: bool = True) -> None:
        """Shows the current group, and moves the focus to it: the button that was pressed may be gone."""
        if self._box.is_deleted:
            return
        group = self._queue.current
        self._show_figures()
        self._members.show(group)
        self._answers.show(group, self._digits(group), self._board.labels)
        self._show_head()
        if focus:
            self._head.run_method("focus")

    def _show_head(self) -> None:
        group = self._queue.current
        if group:
            self._title.text = f"Group {self._queue.position + 1:,} of {len(self._queue.groups):,}"
        else:
            self._title.text = "The groups here are done" if self._left else "Nothing is left"
        self._note.text = describe_group(group) if group else "New queries appear here."
        self._head.props["aria-label"] = f"{self._title.text}: {self._note.text}"

    def _show_figures(self) -> None:
        self._overview.show(self._board.summary, self._left, len(self._queue.groups))
        self._list.show(self._queue)

    def _digits(self, group: ReviewGroup | None) -> list[str]:
        likely = self._board.likely(group) if group else []
        return digit_labels(self._board.labels.values(), likely, self._resolver.recent)

    async def choose(self, choice: Choice) -> None:
        """Resolves the group that is shown, without its members that are left out, and shows the next one at once."""
        group = self._queue.current
        if group is None:
            return
        if len(self._members.left_out) == len(group.items):
            ui.notify("Every query is left out.")
            return
        self._left -= (taken := self._queue.take(self._members.left_out)).size
        self._show()
        with self._context.busy("Enrolling" if not choice.skip else "Skipping"):
            await self._resolve(taken, choice)
        await self._catch_up()

    async def name_new(self, proposal: str = "") -> None:
        """Asks for a new label, and resolves the group with it."""
        group = self._queue.current
        if group is None:
            return
        count = counted(len(group.items) - len(self._members.left_out), "query", "queries")
        name = await ask_label(proposal, [one.name for one in group.names], count)
        if name and group is self._queue.current:
            await self.choose(Choice(label=name))

    async def propose(self) -> None:
        """Asks for words, and reads the groups again with names from them."""
        words = await ask_words(self._board.vocabulary)
        if words is None or not self._resolver.idle:
            return
        self._board.vocabulary = words
        with self._context.busy("Proposing names"):
            await self._board.refresh(self._context.client, groups=True)
        self._queue, self._left = Queue(self._board.groups), self._board.waiting
        self._show()

    async def undo(self) -> None:
        """Takes the last resolution of this page back."""
        try:
            with self._context.busy("Undoing"):
                undone = await self._resolver.undo()
        except (FailedPrecondition, NotFound) as error:
            self._results.add("Nothing was undone: somebody has changed it since.", [error.message], problem=True)
            return
        if undone is None:
            ui.notify("There is nothing to undo.")
            return
        done, result = undone
        self._left += result.item_count
        self._queue.put_back(done.group, show=True)
        back = counted(result.item_count, "query is", "queries are")
        self._results.add(f"Undone: {back} back, {counted(result.example_count, 'example')} deleted.")
        self._show()
        await self._catch_up()

    async def _resolve(self, taken: ReviewGroup, choice: Choice) -> None:
        try:
            done = await self._resolver.resolve(taken, choice, lambda name: name in self._board.labels)
        except ReviewGroupChanged as changed:
            self._put_back(changed.group)
            self._results.add(*describe_change(changed.group), problem=True)
        except GlimpseError:
            self._put_back(taken)
            raise
        else:
            text, lines = describe_result(choice, done.resolution, self._board.name_of)
            self._results.add(text, lines, problem=bool(done.resolution.failed))

    def _put_back(self, group: ReviewGroup | None) -> None:
        if group is None:
            return
        shown = self._queue.current
        self._queue.put_back(group)
        self._left += group.size
        if shown is None:
            self._show()
        elif not self._box.is_deleted:
            self._show_figures()
            self._show_head()

    async def _catch_up(self) -> None:
        """Reads labels, figures and, if none is left, more groups, when no other call waits."""
        if not self._resolver.idle or self._box.is_deleted:
            return
        empty = self._queue.current is None
        await self._board.refresh(self._context.client, groups=empty)
        if not self._resolver.idle or self._box.is_deleted:
            return
        self._left = self._board.waiting
        if empty and self._queue.current is None:
            self._queue = Queue(self._board.groups)
            self._show()
        else:
            self._show_figures()
            self._answers.extend(self._digits(self._queue.current), self._board.labels)

    async def _look_for_more(self) -> None:
        if self._queue.current is None and self._resolver.idle:
            with suppress(GlimpseError):  # the frame shows that the server does not answer
                if await self._board.has_waiting(self._context.client):
                    await self._catch_up()

    def _move(self, step: int) -> None:
        self._select(self._queue.position + step, focus=False)

    def _select(self, position: int, *, focus: bool = True) -> None:
        self._queue.show(position)
        self._show(focus=focus)
