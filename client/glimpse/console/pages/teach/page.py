"""The page Teach."""

from nicegui import ui

from glimpse.client import Collection, Modality, NotFound, Scope
from glimpse.console.components import Batch, DropZone, Tag, counted, empty_state, heading, label_problem
from glimpse.console.context import Context
from glimpse.console.pages.teach.drops import Drop
from glimpse.console.pages.teach.examples import LabelExamples
from glimpse.console.pages.teach.inputs import resolve_label, sort_uploads, split_texts
from glimpse.console.pages.teach.labels import LabelList


async def page(context: Context) -> None:
    """Shows where to drop and what to type, and the labels."""
    assert context.collection  # noqa: S101  (the frame shows the page for a collection alone)
    if not context.may(Scope.ENROLL):
        empty_state("Your key may not teach this collection.", "It needs the scope enroll. Ask an admin for it.")
        return
    await _show_originals(context, context.collection)
    await Teach(context, context.collection, await _modalities(context, context.collection)).load()


async def _modalities(context: Context, collection: Collection) -> tuple[Modality, ...]:
    try:
        return (await context.client.get_backbone(collection.backbone)).modalities
    except NotFound:  # the server has not loaded it, and says so when something is taught
        return (Modality.IMAGE, Modality.TEXT)


async def _show_originals(context: Context, collection: Collection) -> None:
    """Says what has no picture here and later, and why."""

    async def keep() -> None:
        with context.busy("Changing the collection"):
            await context.client.update_collection(collection, keep_inputs=True, content_readable=True)
        await context.reload()

    texts = []
    if not collection.keep_inputs:
        texts.append(
            "Originals are not kept: what you teach has no picture later, neither in Review nor in Health, and another "
            "backbone cannot embed it again."
        )
    elif not collection.content_readable:
        texts.append("Originals are kept, but nobody may read them, so examples have no pictures here.")
    if collection.index:
        rows = counted(collection.index.vector_count - collection.index.deleted_count, "example")
        texts.append(f"{rows} are rows of the attached index {collection.index.id}. They have no pictures.")
    if not texts:
        return
    with ui.element("div").classes("hint-box"):
        for text in texts:
            ui.label(text)
        if context.may(Scope.ADMIN) and not (collection.keep_inputs and collection.content_readable):
            text = "Show them" if collection.keep_inputs else "Keep originals from now on"
            ui.button(text, on_click=keep).props("outline no-caps")


class Teach:
    """The form, the labels, what was dropped, and the examples of the chosen label."""

    def __init__(self, context: Context, collection: Collection, modalities: tuple[Modality, ...]) -> None:
        self._context = context
        self._collection = collection
        self._drop: Drop | None = None
        self._kind = "pictures" if Modality.IMAGE in modalities else "text files"
        with ui.element("div").classes("teach"):
            with ui.element("section").classes("panel"):
                heading("Add examples", 2)
                self._typed = ui.input("Label", on_change=self._show_label).props(
                    "outlined clearable autocomplete=off spellcheck=false maxlength=128"
                )
                self._typed.without_auto_validation()
                self._hint = Tag("p", "").classes("note")
                self._typed.props["aria-describedby"] = self._hint.html_id
                texts = Modality.TEXT in modalities
                self._zone = DropZone(
                    "",
                    self._take_files,
                    self._take_text if texts else None,
                    folders=True,
                    accept="image/*,.txt" if texts else "image/*",
                )
                if texts:
                    self._add_text_form()
            self._labels = LabelList(context, collection, self._choose)
        self._drops = ui.element("div").classes("drops")
        self._examples = LabelExamples(context, collection, self._labels, self._choose)

    async def load(self) -> None:
        """Reads the labels, at first and after each change."""
        await self._labels.load()
        self._show_label()

    @property
    def _label(self) -> str:
        """The id of the label that was typed or chosen. Empty: none."""
        return resolve_label(self._typed.value or "", self._labels.names)

    @property
    def _problem(self) -> str | None:
        """The problem of the new label that was typed. None: it is valid, or no label was typed."""
        label = self._label
        return label_problem(label) or None if label and label not in self._labels.names else None

    def _choose(self, label: str) -> None:
        self._typed.value = label
        self._show_label()

    def _show_label(self) -> None:
        label, name = self._label, self._labels.name_of(self._label)
        known = self._labels.count_of(label)
        self._typed.error = self._problem
        self._zone.props["title"] = self._zone.props["label"] = (
            f"Drop {self._kind} of {name} here, or paste them"
            if label
            else f"Choose a label and drop {self._kind}, or drop a folder whose subfolders are labels"
        )
        hint = "Empty: the folders that you drop are the labels." if not label else "This is a new label."
        self._hint.text = hint if known is None else f"It has {counted(known, 'example')}."
        self._labels.show(self._typed.value or "", label)
        self._examples.offer(label if known else "")

    def _add_text_form(self) -> None:
        self._text = ui.textarea("Texts").props("outlined autogrow spellcheck=false")
        with ui.element("div").classes("toolbar"):
            ui.button("Teach the texts", on_click=self._take_texts).props("outline no-caps")
            self._by_line = ui.checkbox("Each line is a text of its own", value=True)

    async def _take_text(self, text: str) -> None:
        """Puts a pasted text into the form, where it can be read before it is taught."""
        self._text.value = "\n".join(filter(None, (self._text.value, text.strip())))
        self._text.run_method("focus")

    async def _take_texts(self) -> None:
        label = self._label
        taught = split_texts(self._text.value or "", label, by_line=bool(self._by_line.value))
        if not label:
            self._typed.error = "Type a label first."
        elif self._problem:
            self._typed.run_method("focus")
        elif taught:
            drop = self._start(label)
            self._text.value = ""
            await drop.enroll(taught, 0, len(taught))
        else:
            self._text.error = "Type or paste a text first."

    async def _take_files(self, batch: Batch) -> None:
        known = batch.target in self._labels.names
        if self._problem and not known:
            ui.notify("Nothing was taught: the label is not valid.")
            return
        if batch.done == 0 or self._drop is None:
            self._drop = self._start(batch.target if known else self._label)
        uploads = sort_uploads(batch.files, self._drop.label)
        self._drop.leave_out(uploads)
        last = batch.done + len(batch.files) >= batch.total
        await self._drop.enroll(uploads.taught, batch.done, batch.total, last=last)

    def _start(self, label: str) -> Drop:
        """Starts a drop, whose panel comes before the earlier ones."""
        with self._drops:
            return Drop(self._context, self._collection, label, self._labels, self.load)
