"""The demo's picture: what was seen once, what was asked, what was answered and because of which example."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from glimpse.backbone.images.preprocess import to_rgb
from glimpse.cli.demo.run import Answered, Report

_WIDTH, _MARGIN, _GAP = 1280, 40, 12
_PAPER, _INK, _FAINT = "#f7f6f2", "#22252a", "#7b8087"
_FRAMES = {"good": "#2e9e5b", "bad": "#d64545", "unsure": "#e0a526"}
_SHOWN_QUERIES, _SHOWN_STRANGERS, _SHOWN_WORDED = 32, 16, 20

Draw = Callable[["Sheet", int, int, int, Answered], None]


class Sheet:
    """A canvas that is filled from the top."""

    def __init__(self, height: int) -> None:
        self.image = Image.new("RGB", (_WIDTH, height), _PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.y = _MARGIN

    def text(self, x: int, y: int, text: str, size: int, colour: str = _INK, *, anchor: str = "la") -> None:
        """A line of text."""
        self.pen.text((x, y), text, font=ImageFont.load_default(size), fill=colour, anchor=anchor)

    def heading(self, title: str, note: str) -> None:
        """A section's title, and what it shows."""
        self.text(_MARGIN, self.y, title, 24)
        left = _MARGIN + int(self.pen.textlength(title, font=ImageFont.load_default(24))) + 14
        self.text(left, self.y + 8, note, 16, _FAINT)
        self.y += 44

    def picture(self, x: int, y: int, side: int, content: bytes | Path, frame: str = "") -> None:
        """A picture, as the backbone saw it, in a square of white, with a frame or without."""
        card = Image.new("RGB", (side, side), "white")
        with Image.open(content if isinstance(content, Path) else io.BytesIO(content)) as opened:
            fitted = ImageOps.contain(to_rgb(opened), (side, side), Image.Resampling.LANCZOS)
        card.paste(fitted, ((side - fitted.width) // 2, (side - fitted.height) // 2))
        self.image.paste(card, (x, y))
        width = 4 if frame else 1
        self.pen.rectangle((x, y, x + side - 1, y + side - 1), outline=frame or "#d9d7d0", width=width)

    def grid(self, items: Sequence[Answered], columns: int, height: int, draw: Draw) -> None:
        """Cells of equal size, row by row."""
        cell = (_WIDTH - 2 * _MARGIN - (columns - 1) * _GAP) // columns
        for i, item in enumerate(items):
            draw(self, _MARGIN + i % columns * (cell + _GAP), self.y + i // columns * (height + _GAP), cell, item)
        self.y += -(-len(items) // columns) * (height + _GAP) + 20


def draw_sheet(report: Report) -> Image.Image:
    """The picture of a run."""
    sheet = Sheet(4000)
    _title(sheet, report)
    _examples(sheet, report)
    good = f"best label right in {report.accuracy(report.queries):.1%} of {len(report.queries)}"
    sheet.heading("Asked", f"each with its nearest example and their cosine; {good}")
    sheet.grid(_sample(report.queries, _SHOWN_QUERIES), 8, 114, _pair)
    if report.strangers:
        sheet.heading("Strangers", "of no label: the answer should be UNKNOWN")
        sheet.grid(_sample(report.strangers, _SHOWN_STRANGERS), 8, 114, _pair)
    if report.worded:
        right = f"{report.accuracy(report.worded):.1%} of {len(report.worded)} right"
        sheet.heading("Labelled by text alone", f"no example, {len(report.task.prompts)} texts to choose from; {right}")
        sheet.grid(_sample(report.worded, _SHOWN_WORDED), 10, 134, _worded)
    _legend(sheet)
    return sheet.image.crop((0, 0, _WIDTH, sheet.y))


def _title(sheet: Sheet, report: Report) -> None:
    sheet.text(_MARGIN, sheet.y, "Glimpse", 44)
    latency = f"p50 {report.latency_ms(50):.1f} ms, p99 {report.latency_ms(99):.1f} ms a call"
    line = f"{report.task.title}  ·  {report.backbone}  ·  {latency}"
    sheet.text(_MARGIN, sheet.y + 56, line, 18, _FAINT)
    sheet.y += 106


def _examples(sheet: Sheet, report: Report) -> None:
    once = len(report.task.examples) == len({one.truth for one in report.task.examples})
    sheet.heading("Seen once" if once else "Seen", "all it was ever shown of these labels")
    columns = 20
    cell = (_WIDTH - 2 * _MARGIN - (columns - 1) * 8) // columns
    shown = report.task.examples[: 2 * columns]
    for i, one in enumerate(shown):
        x, y = _MARGIN + i % columns * (cell + 8), sheet.y + i // columns * (cell + 26)
        sheet.picture(x, y, cell, one.content)
        sheet.text(x + cell // 2, y + cell + 4, _cut(sheet, one.truth, cell + 6, 11), 11, _FAINT, anchor="ma")
    sheet.y += -(-len(shown) // columns) * (cell + 26) + 22


def _pair(sheet: Sheet, x: int, y: int, width: int, one: Answered) -> None:
    """The query in its frame, the nearest example beside it, the answer below."""
    side = (width - 6) // 2
    sheet.picture(x, y, side, one.picture.content, _FRAMES[one.verdict])
    if one.nearest is not None:
        sheet.picture(x + side + 6, y, side, one.nearest.content)
    similarity = f"{one.answer.evidence[0].similarity:.2f}" if one.answer.evidence else ""
    said = one.answer.label if one.answer.decision.name == "MATCH" else one.answer.decision.name
    sheet.text(x, y + side + 5, _cut(sheet, said, width - 34, 14), 14, _FRAMES[one.verdict])
    sheet.text(x + width, y + side + 5, similarity, 14, _FAINT, anchor="ra")
    if one.picture.truth and not one.right:
        sheet.text(x, y + side + 22, _cut(sheet, f"is {one.picture.truth}", width, 12), 12, _FAINT)


def _worded(sheet: Sheet, x: int, y: int, width: int, one: Answered) -> None:
    """The picture in its frame and the text chosen for it."""
    side = width - 18
    sheet.picture(x + 9, y, side, one.picture.content, _FRAMES["good" if one.right else "bad"])
    colour = _INK if one.right else _FRAMES["bad"]
    sheet.text(x + width // 2, y + side + 5, _cut(sheet, one.answer.label, width + 8, 13), 13, colour, anchor="ma")
    sheet.text(x + width // 2, y + side + 21, f"{one.answer.probability:.0%}", 12, _FAINT, anchor="ma")


def _legend(sheet: Sheet) -> None:
    x = _MARGIN
    for verdict, meaning in (("good", "right"), ("unsure", "not sure, and says so"), ("bad", "wrong")):
        sheet.pen.rectangle((x, sheet.y, x + 14, sheet.y + 14), outline=_FRAMES[verdict], width=4)
        sheet.text(x + 22, sheet.y - 2, meaning, 14, _FAINT)
        x += 60 + int(sheet.pen.textlength(meaning, font=ImageFont.load_default(14)))
    sheet.y += 14 + _MARGIN


def _sample(items: Sequence[Answered], count: int) -> Sequence[Answered]:
    """Evenly spread, so that it is neither the best nor the worst of them."""
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(count)]


def _cut(sheet: Sheet, text: str, width: int, size: int) -> str:
    """A text cut to a width in pixels."""
    font = ImageFont.load_default(size)
    if sheet.pen.textlength(text, font=font) <= width:
        return text
    while text and sheet.pen.textlength(f"{text}…", font=font) > width:
        text = text[:-1]
    return f"{text}…"
