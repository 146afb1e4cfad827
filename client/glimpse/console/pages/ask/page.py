"""The page Ask."""

from collections.abc import Sequence
from functools import partial

from nicegui import ui
from nicegui.events import GenericEventArguments

from glimpse.client import Backbone, Collection, Decision, GlimpseError, Modality, Scope, Unauthenticated
from glimpse.console.components import Batch, DropZone, Tag, empty_state, heading, note
from glimpse.console.context import Context
from glimpse.console.errors import error_panel
from glimpse.console.pages.ask.answers import Answer
from glimpse.console.pages.ask.parts import Parts, Query
from glimpse.console.pages.ask.questions import Asked, CollectionQuestion, PromptQuestion
from glimpse.console.pages.ask.verdicts import tally

_MAX_SHOWN = 20
_MODES = {"examples": "Examples of collections", "texts": "Texts as labels (zero-shot)"}


async def page(context: Context) -> None:
    """Shows where to drop and what to type, and the answers."""
    if context.collection and not context.may(Scope.CLASSIFY):
        empty_state("Your key may not ask this collection.", "It needs the scope classify. Ask an admin for it.")
        return
    backbones = [one async for one in context.client.list_backbones()]
    if context.collections or context.collection or any(Modality.TEXT in one.modalities for one in backbones):
        Ask(context, context.collection, backbones)
        return
    text = "No loaded backbone reads texts, so texts cannot be labels either. Create a collection, and teach it."
    empty_state("There is nothing to ask yet.", text, "Collections", partial(context.open, context.pages[0]))


class Ask:
    """The questions, and the answers to the newest queries."""

    def __init__(self, context: Context, collection: Collection | None, backbones: Sequence[Backbone]) -> None:
        self._context = context
        # Without any collection, texts are the only labels.
        some = bool(collection or context.collections)
        self._decisions: list[Decision] = []
        self._answers: list[Answer] = []
        reads = {modality for one in backbones for modality in one.modalities}
        texts = [one for one in backbones if Modality.TEXT in one.modalities]
        with ui.element("div").classes("ask"):
            with ui.element("section").classes("panel ask-form"):
                heading("Question", 2)
                if collection and not collection.label_count:
                    self._show_empty()
                if not some:
                    note("There is no collection yet. Texts can be labels without any example.")
                self._mode = ui.radio(_MODES, value="examples" if some else "texts", on_change=self._show_mode)
                self._mode.props["aria-label"] = "What answers"
                self._mode.visible = some and bool(texts)
                self._collections = CollectionQuestion(context, collection)
                self._prompts = PromptQuestion(context, texts)
                self._show_mode()
                if Modality.IMAGE in reads:
                    DropZone("Drop pictures here, or paste them", self._take_files, self._take_text if texts else None)
                self._parts = Parts(visible=Modality.IMAGE in reads)
                if Modality.TEXT in reads:
                    self._add_text_form()
                self._problem = ui.label().classes("problem").props("role=alert")
                if collection and collection.index:
                    note(f"Rows of the attached index {collection.index.id} have no pictures, also where one matches.")
            with ui.element("div").classes("answers"):
                self._status = Tag("p", "").classes("note").props("role=status")
                self._messages = ui.element("div").classes("messages")
                self._results = ui.element("div").classes("answers")
                with self._results:
                    empty_state("Nothing is asked yet.", "Drop a picture, paste one, or type a text.")

    def _show_empty(self) -> None:
        teach = next((one for one in self._context.pages if one.path == "teach"), None)
        note("This collection has no label yet, so it cannot answer. Texts can be labels without any example.")
        if teach and self._context.may(teach.scope):
            ui.button("Teach it", on_click=partial(self._context.open, teach)).props("outline no-caps").classes("start")

    def _show_mode(self) -> None:
        prompts = self._mode.value == "texts"
        self._prompts.fields.visible = prompts
        self._collections.fields.visible = not prompts

    def _add_text_form(self) -> None:
        self._text = ui.textarea("Text").props("outlined autogrow")
        # The line break of the keys that send does not belong to the text.
        self._text.on("keydown.ctrl.enter.prevent", self._take_typed)
        ui.button("Ask (Ctrl+Enter)", on_click=self._take_typed).props("unelevated no-caps").classes("start")

    async def _take_typed(self, _: GenericEventArguments | object = None) -> None:
        await self._take_text(self._text.value or "")

    async def _take_text(self, text: str) -> None:
        if text.strip():
            await self._ask([("", text.strip())], 0, 1)
        else:
            self._problem.text = "Type a text first."

    async def _take_files(self, batch: Batch) -> None:
        queries, self._problem.text = self._parts.take(batch)
        if self._parts.are_views(queries):
            await self._ask(queries, 0, 1)
        elif queries:
            await self._ask(queries, batch.done, batch.total)

    async def _ask(self, queries: Sequence[Query], done: int, total: int) -> None:
        """Asks, and shows the answers before the earlier ones.

        Args:
            queries: The queries.
            done: How many queries of the same drop came before them.
            total: Number of queries of the drop.
        """
        question = self._prompts if self._mode.value == "texts" else self._collections
        self._problem.text = question.problem() or self._parts.problem()
        if self._problem.text:
            return
        self._messages.clear()
        try:
            with self._context.busy("Asking") as work:
                work.advance(done, total)
                asked = await question.ask(self._parts.inputs(queries))
        except Unauthenticated:
            raise  # the frame asks to sign in again
        except GlimpseError as error:
            with self._messages:
                error_panel(error, retry=partial(self._ask, queries, done, total))
            return
        if done == 0:
            self._decisions = []
        self._decisions += [one.decision for result in asked.results for one in result.classifications]
        self._show(queries, asked)
        if total > 1:
            self._status.text = f"{done + len(queries):,} of {total:,} answered: {tally(self._decisions)}"

    def _show(self, queries: Sequence[Query], asked: Asked) -> None:
        if not self._answers:
            self._results.clear()
        if len(asked.results) < len(queries):  # the first picture stands for the thing
            name, content = queries[0]
            queries = [(f"{name.rpartition('/')[2] or 'Picture'} and {len(queries) - 1} more views", content)]
        for index, (name, content) in enumerate(queries):
            with self._results:
                answer = Answer(self._context, name, content, asked, index)
            answer.panel.move(target_index=0)
            self._answers.append(answer)
            self._status.text = answer.summary
        # Nothing moves where the answer is in sight. A narrow window shows it below the form.
        self._answers[-1].panel.run_method("scrollIntoView", {"block": "nearest"})
        for old in self._answers[:-_MAX_SHOWN]:
            old.panel.delete()
        del self._answers[:-_MAX_SHOWN]
