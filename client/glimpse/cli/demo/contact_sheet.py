"""Draws the demo's picture: the examples, the queries, and each query's label with its nearest example."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from glimpse.backbone.images.preprocess import to_rgb
from glimpse.cli.demo.run import Report, Result
from glimpse.client import Decision

_WIDTH, _MARGIN, _GAP = 1280, 32, 12
_PAIR_HEIGHT = 104  # a picture and two lines below it
_PAPER, _INK, _FAINT = "#f7f6f2", "#22252a", "#7b8087"
_FRAMES = {"good": "#2e9e5b", "bad": "#d64545", "unsure": "#e0a526"}
_SHOWN_QUERIES, _SHOWN_UNKNOWN, _SHOWN_ZERO_SHOT = 16, 8, 10

Draw = Callable[["Sheet", int, int, int, Result], None]


class Sheet:
    """A canvas that is filled from top to bottom."""

    def __init__(self, height: int) -> None:
        self.image = Image.new("RGB", (_WIDTH, height), _PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.y = _MARGIN

    def text(self, x: int, y: int, text: str, size: int, colour: str = _INK, *, anchor: str = "la") -> None:
        """Draws a line of text."""
        self.pen.text((x, y), text, font=ImageFont.load_default(size), fill=colour, anchor=anchor)

    def heading(self, title: str, note: str) -> None:
        """Draws a section's title and a note beside it."""
        self.text(_MARGIN, self.y, title, 24)
        left = _MARGIN + int(self.pen.textlength(title, font=ImageFont.load_default(24))) + 14
        self.text(left, self.y + 8, note, 16, _FAINT)
        self.y += 44

    def picture(self, x: int, y: int, side: int, content: bytes | Path, frame: str = "") -> None:
        """Draws a picture, as the backbone reads it, on a white square, optionally with a coloured frame."""
        card = Image.new("RGB", (side, side), "white")
        with Image.open(content if isinstance(content, Path) else io.BytesIO(content)) as opened:
            fitted = ImageOps.contain(to_rgb(opened), (side, side), Image.Resampling.LANCZOS)
        card.paste(fitted, ((side - fitted.width) // 2, (side - fitted.height) // 2))
        self.image.paste(card, (x, y))
        width = 4 if frame else 1
        self.pen.rectangle((x, y, x + side - 1, y + side - 1), outline=frame or "#d9d7d0", width=width)

    def grid(self, items: Sequence[Result], columns: int, height: int, draw: Draw) -> None:
        """Draws items in cells of equal size, row by row."""
        cell = (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) // columns
        for i, item in enumerate(items):
            draw(self, _MARGIN + i % columns * (cell + _GAP), self.y + i // columns * (height + _GAP), cell, item)
        self.y += -(-len(items) // columns) * (height + _GAP) + 6


def draw_sheet(report: Report) -> Image.Image:
    """Draws the picture of a run."""
    sheet = Sheet(4000)
    _title(sheet, report)
    _examples(sheet, report)
    accuracy = f"best label right for {report.accuracy(report.queries):.1%} of {len(report.queries)}"
    sheet.heading("Queries", f"each with its nearest example and their cosine; {accuracy}")
    sheet.grid(_sample(report.queries, _SHOWN_QUERIES), 8, _PAIR_HEIGHT, _pair)
    if report.unknown:
        rejected = f"{report.decisions(report.unknown)[Decision.UNKNOWN]} of {len(report.unknown)}"
        sheet.heading("Out of distribution", f"pictures of no label; UNKNOWN, as it should be, for {rejected}")
        sheet.grid(_sample(report.unknown, _SHOWN_UNKNOWN), 8, _PAIR_HEIGHT, _pair)
    if report.zero_shot:
        accuracy = f"{report.accuracy(report.zero_shot):.1%} of {len(report.zero_shot)} right"
        sheet.heading("Zero-shot", f"no example, {len(report.task.prompts)} text prompts to choose from; {accuracy}")
        sheet.grid(_sample(report.zero_shot, _SHOWN_ZERO_SHOT), 10, 134, _zero_shot)
    _legend(sheet)
    return sheet.image.crop((0, 0, _WIDTH, sheet.y))


def _title(sheet: Sheet, report: Report) -> None:
    sheet.text(_MARGIN, sheet.y, "Glimpse", 44)
    latency = f"p50 {report.latency_ms(50):.1f} ms, p99 {report.latency_ms(99):.1f} ms per call"
    line = f"{report.task.title}  ·  {report.backbone}  ·  {latency}"
    sheet.text(_MARGIN, sheet.y + 56, line, 18, _FAINT)
    sheet.y += 92


def _examples(sheet: Sheet, report: Report) -> None:
    count = len(report.task.examples)
    once = count == len({picture.truth for picture in report.task.examples})
    sheet.heading("Enrolled", "one example per label" if once else f"{count} examples")
    columns = 20
    cell = (_WIDTH - 2 * _MARGIN - (columns - 1) * 8) // columns
    pictures = report.task.examples[: 2 * columns]
    for i, picture in enumerate(pictures):
        x, y = _MARGIN + i % columns * (cell + 8), sheet.y + i // columns * (cell + 26)
        sheet.picture(x, y, cell, picture.content)
        sheet.text(x + cell // 2, y + cell + 4, _cut(sheet, picture.truth, cell + 6, 11), 11, _FAINT, anchor="ma")
    sheet.y += -(-len(pictures) // columns) * (cell + 26) + 10


def _pair(sheet: Sheet, x: int, y: int, width: int, result: Result) -> None:
    """Draws the query in its frame, its nearest example beside it, and the decision below."""
    side = (width - 6) // 2
    sheet.picture(x, y, side, result.picture.content, _FRAMES[result.verdict])
    if result.nearest is not None:
        sheet.picture(x + side + 6, y, side, result.nearest.content)
    classification = result.classification
    similarity = f"{classification.evidence[0].similarity:.2f}" if classification.evidence else ""
    caption = classification.label if classification.decision.name == "MATCH" else classification.decision.name
    sheet.text(x, y + side + 5, _cut(sheet, caption, width - 34, 14), 14, _FRAMES[result.verdict])
    sheet.text(x + width, y + side + 5, similarity, 14, _FAINT, anchor="ra")
    if result.picture.truth and not result.right:
        sheet.text(x, y + side + 22, _cut(sheet, f"is {result.picture.truth}", width, 12), 12, _FAINT)


def _zero_shot(sheet: Sheet, x: int, y: int, width: int, result: Result) -> None:
    """Draws the picture in its frame and the prompt chosen for it."""
    side = width - 18
    sheet.picture(x + 9, y, side, result.picture.content, _FRAMES["good" if result.right else "bad"])
    colour = _INK if result.right else _FRAMES["bad"]
    label = _cut(sheet, result.classification.label, width + 8, 13)
    sheet.text(x + width // 2, y + side + 5, label, 13, colour, anchor="ma")
    sheet.text(x + width // 2, y + side + 21, f"{result.classification.probability:.0%}", 12, _FAINT, anchor="ma")


def _legend(sheet: Sheet) -> None:
    x = _MARGIN
    for verdict, meaning in (("good", "right"), ("unsure", "not sure, and reported as such"), ("bad", "wrong")):
        sheet.pen.rectangle((x, sheet.y, x + 14, sheet.y + 14), outline=_FRAMES[verdict], width=4)
        sheet.text(x + 22, sheet.y - 2, meaning, 14, _FAINT)
        x += 60 + int(sheet.pen.textlength(meaning, font=ImageFont.load_default(14)))
    sheet.y += 14 + _MARGIN


def _sample(items: Sequence[Result], count: int) -> Sequence[Result]:
    """Returns `count` items, evenly spread, so that the choice is neither the best nor the worst."""
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(count)]


def _cut(sheet: Sheet, text: str, width: int, size: int) -> str:
    """Cuts a text to a width in pixels."""
    font = ImageFont.load_default(size)
    if sheet.pen.textlength(text, font=font) <= width:
        return text
    while text and sheet.pen.textlength(f"{text}…", font=font) > width:
        text = text[:-1]
    return f"{text}…"
