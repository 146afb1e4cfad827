"""Sends queries to collections, or to texts that are labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

from glimpse.client import Backbone, ClassifyResult, Collection, Image, LabelMode, Scope, Text, Views
from glimpse.console.components import note
from glimpse.console.context import Context

Inputs = Sequence[Text | Image | Views]
_MAX_COLLECTIONS = 16
_EVIDENCE = 6
_MAX_NAMES = 1000  # labels of one collection whose names are read; past that their ids are shown


@dataclass(frozen=True, slots=True)
class Asked:
    """The answers to one question, and the names to show them with.

    Attributes:
        results: One result for each query.
        titles: Name of each answerer.
        names: Names of labels for people by their ids, for each answerer.
        independent: Whether any number of labels may hold, for each answerer.
    """

    results: Sequence[ClassifyResult]
    titles: tuple[str, ...]
    names: tuple[dict[str, str], ...]
    independent: tuple[bool, ...]


def prompts_of(text: str) -> dict[str, list[str]]:
    """Returns labels with their prompts: one label on each line, `star` or `star: a shape with five points`.

    Lines of the same label are prompts of one label.
    """
    prompts: dict[str, list[str]] = {}
    for line in text.splitlines():
        label, _, prompt = line.partition(":")
        if label.strip():
            prompts.setdefault(label.strip(), []).append(prompt.strip() or label.strip())
    return prompts


class CollectionQuestion:
    """Asks one collection or several."""

    def __init__(self, context: Context, collection: Collection | None) -> None:
        """Adds the fields.

        Args:
            context: The page.
            collection: The collection that is asked at first. None: none is chosen yet.
        """
        self._context = context
        self._names: dict[str, dict[str, str]] = {}
        first = {collection.id: collection} if collection else {}
        self._known = {**first, **context.collections}
        allowed = {
            one.id: one.display_name or one.id for one in self._known.values() if context.may(Scope.CLASSIFY, one)
        }
        with ui.element("div").classes("fields") as self.fields:
            self._chosen = ui.select(allowed, label="Collections", value=list(first), multiple=True)
            self._chosen.props("outlined use-chips options-dense").props["max-values"] = _MAX_COLLECTIONS
            self._chosen.visible = len(allowed) > len(first)
            self._keep = ui.checkbox("May be kept for review, if the answer is not sure", value=True)
            self._keep.visible = any(one.review_policy for one in self._known.values())

    @property
    def collections(self) -> list[Collection]:
        """The chosen collections."""
        return [self._known[one] for one in self._chosen.value]

    def problem(self) -> str:
        """Returns what must be chosen first. Empty: nothing."""
        return "" if self._chosen.value else "Choose a collection to ask."

    async def ask(self, inputs: Inputs) -> Asked:
        """Classifies inputs.

        Raises:
            GlimpseError: If the call fails.
        """
        chosen = self.collections
        results = await self._context.client.classify(chosen, inputs, evidence=_EVIDENCE, keep=bool(self._keep.value))
        return Asked(
            results,
            tuple([one.display_name or one.id for one in chosen]),
            tuple([await self._label_names(one) for one in chosen]),
            tuple([one.label_mode is LabelMode.INDEPENDENT for one in chosen]),
        )

    async def _label_names(self, collection: Collection) -> dict[str, str]:
        if collection.label_count > _MAX_NAMES:
            return {}
        if collection.id not in self._names:
            listed = self._context.client.list_labels(collection, page_size=_MAX_NAMES)
            self._names[collection.id] = {one.id: one.display_name async for one in listed}
        return self._names[collection.id]


class PromptQuestion:
    """Asks texts that are labels (zero-shot)."""

    def __init__(self, context: Context, backbones: Sequence[Backbone]) -> None:
        """Adds the fields.

        Args:
            context: The page.
            backbones: The backbones that read texts.
        """
        self._context = context
        self._backbones = {one.name: one for one in backbones}
        names = {one.name: one.name.rpartition("/")[2] for one in backbones}
        with ui.element("div").classes("fields") as self.fields:
            self._text = ui.textarea("Labels, one on each line").props("outlined autogrow spellcheck=false")
            self._text.props["hint"] = "star, or star: a shape with five points"
            self._backbone = ui.select(names, label="Backbone", value=next(iter(names), None)).props("outlined")
            self._backbone.visible = len(names) > 1
            templates = [one for backbone in backbones for one in backbone.prompt_templates if one != "{}"]
            self._templates = ui.checkbox("Put each text into the backbone's templates", value=bool(templates))
            self._templates.visible = bool(templates)
            if templates:
                note(f"Such as: {templates[0].replace('{}', '…')}")

    @property
    def backbone(self) -> Backbone:
        """The chosen backbone."""
        return self._backbones[self._backbone.value]

    def problem(self) -> str:
        """Returns what must be typed first. Empty: nothing."""
        return "" if prompts_of(self._text.value or "") else "Type at least one label."

    async def ask(self, inputs: Inputs) -> Asked:
        """Classifies inputs by the texts.

        Raises:
            GlimpseError: If the call fails.
        """
        results = await self._context.client.classify_zero_shot(
            prompts_of(self._text.value or ""),
            inputs,
            backbone=self.backbone.name,
            use_templates=bool(self._templates.value),
        )
        return Asked(results, ("Texts as labels",), ({},), (False,))
