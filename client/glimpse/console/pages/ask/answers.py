"""One answered query: decision, probabilities, the example that matched, the reason, timings."""

from collections.abc import Callable

from nicegui import ui

from glimpse.client import Classification, ClassifyResult, Decision, Evidence
from glimpse.console.components import (
    Tag,
    figure,
    figures,
    heading,
    label_chip,
    note,
    original,
    pair,
    percent,
    probability_bars,
    sent,
)
from glimpse.console.context import Context
from glimpse.console.errors import title_of
from glimpse.console.pages.ask.parts import Content
from glimpse.console.pages.ask.questions import Asked
from glimpse.console.pages.ask.verdicts import (
    DECISIONS,
    bars,
    best_example,
    dissent,
    note_of_tree,
    reason_of_head,
    stages,
    verdict,
)

_MAX_SHORT = 60  # characters of a text as a heading
_MAX_NEAR = 4


class Answer:
    """The panel of one query and its answers."""

    def __init__(self, context: Context, name: str, content: Content, asked: Asked, index: int) -> None:
        """Adds the panel.

        Args:
            context: The page.
            name: Name of the query's file. Empty: it was typed or pasted.
            content: The query.
            asked: The answers to all queries of the call.
            index: Which of them is shown.
        """
        self._context, self._name, self._content, self._asked = context, name, content, asked
        result = asked.results[index]
        #: The answers in one line, for screen readers.
        self.summary = "; ".join(
            f"{DECISIONS[one.decision]}: {self._verdict(one, number)}"
            for number, one in enumerate(result.classifications)
        )
        with ui.element("article").classes("panel answer") as self.panel:
            heading(_title(name, content), 2)
            if result.error:
                self._show_error(result)
                return
            if result.truncated:
                note("The text is longer than the backbone reads, so its end did not count.")
            for number, answer in enumerate(result.classifications):
                self._show(answer, number, several=len(result.classifications) > 1)
            with figures():
                for stage, time in stages(result.timings):
                    figure(stage, time)

    def _namer(self, number: int) -> Callable[[str], str]:
        names = self._asked.names[number]
        return lambda label: names.get(label) or label

    def _verdict(self, answer: Classification, number: int) -> str:
        return verdict(answer, self._namer(number), independent=self._asked.independent[number])

    def _show_error(self, result: ClassifyResult) -> None:
        assert result.error  # noqa: S101  (the caller looked)
        with ui.element("div").classes("answer-body"):
            sent(self._context, self._content, "The query")
            with ui.element("div").classes("answer-words"):
                Tag("p", title_of(result.error)).classes("panel-title problem")
                ui.label(result.error.message)
                ui.label(f"{result.error.code.name} · {result.error.reason}").classes("details")

    def _show(self, answer: Classification, number: int, *, several: bool) -> None:
        with ui.element("section").classes("answer-part"):
            if several:
                heading(self._asked.titles[number], 3)
            with ui.element("div").classes("answer-body"):
                self._show_pictures(answer, self._namer(number))
                with ui.element("div").classes("answer-words"):
                    self._show_words(answer, number)

    def _show_pictures(self, answer: Classification, name_of: Callable[[str], str]) -> None:
        best = best_example(answer)
        with ui.element("div").classes("answer-pictures"):
            with pair():
                with ui.element("figure").classes("side"):
                    sent(self._context, self._content, "The query")
                    with ui.element("figcaption"):
                        note("the query")
                with ui.element("figure").classes("side"):
                    self._show_best(best, name_of)
            others = [one for one in answer.evidence if one is not best][:_MAX_NEAR]
            if not others:
                return
            with ui.element("ul").classes("near").props('aria-label="More examples that are near"'):
                for one in others:
                    with ui.element("li"):
                        original(self._context, one.example, f"An example of {name_of(one.label)}")
                        note(f"{name_of(one.label)} {one.similarity:.2f}")

    def _show_best(self, best: Evidence | None, name_of: Callable[[str], str]) -> None:
        if best is None:
            note("No example: texts describe the labels.")
            return
        original(self._context, best.example, f"An example of {name_of(best.label)}")
        with ui.element("figcaption"):
            label_chip(name_of(best.label))
            note(f"cosine {best.similarity:.3f}")

    def _show_words(self, answer: Classification, number: int) -> None:
        name_of = self._namer(number)
        with ui.element("p").classes("decision"):
            badge = Tag("span", DECISIONS[answer.decision]).classes("badge")
            badge.classes("unknown" if answer.decision is Decision.UNKNOWN else "")
            badge.classes("ambiguous" if answer.decision is Decision.AMBIGUOUS else "")
            Tag("strong", self._verdict(answer, number))
        if answer.label and answer.decision is Decision.UNKNOWN:
            note(f"If it had to be a label: {name_of(answer.label)}, {percent(answer.probability)}.")
        if answer.views:
            note(dissent(answer, name_of))
        probability_bars(bars(answer, name_of))
        ui.label(_sentence(answer.decision_reason))
        if in_tree := note_of_tree(answer, name_of):
            note(in_tree)
        note(reason_of_head(answer))
        if answer.evidence and not answer.calibrated:
            note("Not calibrated: too few examples to measure how often the answer is wrong.")


def _title(name: str, content: Content) -> str:
    """Returns the name of a query: its file, or the start of its text."""
    if name or isinstance(content, bytes):
        return name.rpartition("/")[2] or "Picture"
    short = " ".join(content.split())
    return short if len(short) <= _MAX_SHORT else f"{short[: _MAX_SHORT - 1]}…"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}" if text else ""
