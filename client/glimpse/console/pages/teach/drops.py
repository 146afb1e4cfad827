"""One drop: the examples that were dropped, pasted or typed together."""

from collections.abc import Awaitable, Callable, Sequence

from nicegui import background_tasks, ui

from glimpse.client import Collection, Enrollment, GlimpseError, Unauthenticated
from glimpse.console.components import Tag, counted, move_focus
from glimpse.console.context import Context
from glimpse.console.errors import error_panel
from glimpse.console.pages.teach.cards import FindingCard
from glimpse.console.pages.teach.changes import remove_all
from glimpse.console.pages.teach.findings import Totals, find
from glimpse.console.pages.teach.inputs import Sorted, Teaching
from glimpse.console.pages.teach.labels import LabelList
from glimpse.console.pages.teach.summary import describe_accuracy, headline, show_figures, show_left_out

_AT_ONCE = 32  # inputs of one call, so that progress shows
_MAX_CARDS = 40
_MAX_UNSENT_BYTES = 128 * 1024 * 1024


class Drop:
    """The panel of one drop: progress, figures, findings, and the way back."""

    def __init__(
        self,
        context: Context,
        collection: Collection,
        label: str,
        labels: LabelList,
        on_change: Callable[[], Awaitable[None]],
    ) -> None:
        """Adds the panel, before those of earlier drops.

        Args:
            context: The page.
            collection: The collection.
            label: Id of the label of everything in the drop. Empty: the labels are those of the folders.
            labels: The labels before the drop.
            on_change: Awaited when examples were added, moved or deleted.
        """
        self.label = label
        self._context, self._collection, self._labels, self._on_change = context, collection, labels, on_change
        self._known_labels = set(labels.names)
        self._added: dict[str, str] = {}  # labels by the full names of the examples
        self._new_labels: set[str] = set()
        self._totals = Totals()
        self._cards = self._hidden = 0
        self._unsent: list[Teaching] = []
        self._lost = 0  # inputs that were not sent and are too many to wait
        self._revision = 0
        self._accuracy_before: float | None = None
        self._unlabelled: list[str] = []
        self._unreadable: list[str] = []
        with ui.element("section").classes("panel drop") as panel:
            with ui.element("div").props("role=status"):
                self._title = Tag("h2", "Teaching …")
            self._messages = ui.element("div").classes("messages")
            self._figures = ui.element("div")
            self._accuracy = Tag("p", "").classes("note")
            self._findings = ui.element("div").classes("findings")
            self._rest = Tag("p", "").classes("note")
            self._actions = ui.element("div").classes("actions")
        panel.move(target_index=0)

    def leave_out(self, uploads: Sorted) -> None:
        """Notes files that cannot be taught."""
        self._unlabelled += uploads.unlabelled
        self._unreadable += uploads.unreadable

    async def enroll(self, taught: Sequence[Teaching], done: int, total: int, *, last: bool = True) -> None:
        """Enrolls some of the drop, and shows what the server noticed.

        Args:
            taught: The inputs.
            done: How many inputs of the drop came before them.
            total: Number of inputs of the whole drop.
            last: Whether nothing follows.
        """
        parts = [taught[start : start + _AT_ONCE] for start in range(0, len(taught), _AT_ONCE)]
        with self._context.busy("Teaching") as work:
            for number, part in enumerate(parts):
                work.advance(done + number * _AT_ONCE, total)
                await self._send(part)
        self._show(last)
        if last and self._added:
            await self._on_change()
            background_tasks.create(self._measure(), name="measure the accuracy")

    async def _send(self, part: Sequence[Teaching]) -> None:
        """Enrolls one part. After a failure nothing is sent until somebody tries again."""
        if self._unsent:
            self._keep_unsent(part)
            return
        try:
            enrollment = await self._context.client.enroll(
                self._collection,
                [one.example() for one in part],
                create_labels=True,
                raise_on_failure=False,
            )
        except Unauthenticated:
            raise  # the frame asks to sign in again
        except GlimpseError as error:
            self._keep_unsent(part)
            with self._messages:
                error_panel(error, retry=self._retry)
            return
        self._take(part, enrollment)

    def _keep_unsent(self, part: Sequence[Teaching]) -> None:
        size = sum(len(one.content) for one in (*self._unsent, *part))
        if self._unsent and size > _MAX_UNSENT_BYTES:
            self._lost += len(part)
        else:
            self._unsent += part

    async def _retry(self) -> None:
        again, self._unsent = self._unsent, []
        self._messages.clear()
        await self.enroll(again, self._totals.sent, self._totals.sent + len(again))

    def _take(self, part: Sequence[Teaching], enrollment: Enrollment) -> None:
        if not self._revision:
            self._accuracy_before = enrollment.accuracy_before
        self._revision = enrollment.revision
        for taught, result in zip(part, enrollment.results, strict=True):
            self._totals.add(result)
            if result.example and not result.duplicate:
                self._added[result.example.name] = result.example.label
                if result.example.label not in self._known_labels:
                    self._new_labels.add(result.example.label)
            finding = find(taught, result)
            if finding and self._cards < _MAX_CARDS:
                self._cards += 1
                with self._findings:
                    FindingCard(self._context, self._collection, finding, self._labels, self._changed)
            elif finding:
                self._hidden += 1

    async def _measure(self) -> None:
        """Measures the accuracy with the new examples. It takes seconds for thousands of examples."""
        if not self._labels.can_be_measured:
            return
        self._accuracy.text = "Measuring the accuracy …"
        try:
            report = await self._context.client.collection_report(self._collection, min_revision=self._revision)
            text = describe_accuracy(self._accuracy_before, report.accuracy)
        except GlimpseError as error:
            text = f"The accuracy was not measured: {error.message}."
        if self._added and not self._accuracy.is_deleted:
            self._accuracy.text = text

    async def _changed(self, added: Sequence[str], removed: Sequence[str]) -> None:
        """Notes what a person did about a finding."""
        for name in removed:
            self._added.pop(name, None)
        self._added |= dict.fromkeys(added, "")
        self._show_actions()
        await self._on_change()

    async def _undo(self) -> None:
        count = len(self._added)
        with self._context.busy("Deleting"):
            await remove_all(self._context, self._added, self._new_labels)
        self._added.clear()
        for element in (self._messages, self._figures, self._findings, self._actions):
            element.clear()
        self._rest.text = self._accuracy.text = ""
        self._title.text = f"Undone: {counted(count, 'example')} deleted"
        move_focus(self._title)
        await self._on_change()

    def _show(self, last: bool) -> None:
        if last:
            labels = sorted(map(self._labels.name_of, filter(None, set(self._added.values()))))
            self._title.text = headline(self._totals, labels)
        self._figures.clear()
        with self._figures:
            show_figures(self._totals)
            show_left_out(self._unlabelled, self._unreadable, len(self._unsent), self._lost)
        hidden = counted(self._hidden, "finding")
        self._rest.text = f"{hidden} more: the page Health lists what is suspect." if self._hidden else ""
        self._show_actions()

    def _show_actions(self) -> None:
        self._actions.clear()
        if self._added:
            text = f"Undo: delete {counted(len(self._added), 'new example')}"
            with self._actions:
                ui.button(text, on_click=self._undo).props("outline no-caps")
