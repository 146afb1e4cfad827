"""Draws the demo's picture: the examples, the queries, and each query's label with its nearest example."""

from collections.abc import Sequence

from PIL import Image, ImageFont

from glimpse.cli.common.sheet import FAINT, INK, MARGIN, WIDTH, Sheet
from glimpse.cli.demo.run import Report, Result
from glimpse.client import Decision

_PAIR_HEIGHT = 104  # a picture and two lines below it
_FRAMES = {"good": "#2e9e5b", "bad": "#d64545", "unsure": "#e0a526"}
_SHOWN_QUERIES, _SHOWN_UNKNOWN, _SHOWN_ZERO_SHOT = 16, 8, 10


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
    return sheet.finished()


def _title(sheet: Sheet, report: Report) -> None:
    sheet.text(MARGIN, sheet.y, "Glimpse", 44)
    latency = f"p50 {report.latency_ms(50):.1f} ms, p99 {report.latency_ms(99):.1f} ms per call"
    line = f"{report.task.title}  ·  {report.backbone}  ·  {latency}"
    sheet.text(MARGIN, sheet.y + 56, line, 18, FAINT)
    sheet.y += 92


def _examples(sheet: Sheet, report: Report) -> None:
    count = len(report.task.examples)
    once = count == len({picture.truth for picture in report.task.examples})
    sheet.heading("Enrolled", "one example per label" if once else f"{count} examples")
    columns = 20
    cell = (WIDTH - 2 * MARGIN - (columns - 1) * 8) // columns
    pictures = report.task.examples[: 2 * columns]
    for i, picture in enumerate(pictures):
        x, y = MARGIN + i % columns * (cell + 8), sheet.y + i // columns * (cell + 26)
        sheet.picture(x, y, cell, picture.content)
        sheet.text(x + cell // 2, y + cell + 4, sheet.cut(picture.truth, cell + 6, 11), 11, FAINT, anchor="ma")
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
    sheet.text(x, y + side + 5, sheet.cut(caption, width - 34, 14), 14, _FRAMES[result.verdict])
    sheet.text(x + width, y + side + 5, similarity, 14, FAINT, anchor="ra")
    if result.picture.truth and not result.right:
        sheet.text(x, y + side + 22, sheet.cut(f"is {result.picture.truth}", width, 12), 12, FAINT)


def _zero_shot(sheet: Sheet, x: int, y: int, width: int, result: Result) -> None:
    """Draws the picture in its frame and the prompt chosen for it."""
    side = width - 18
    sheet.picture(x + 9, y, side, result.picture.content, _FRAMES["good" if result.right else "bad"])
    colour = INK if result.right else _FRAMES["bad"]
    label = sheet.cut(result.classification.label, width + 8, 13)
    sheet.text(x + width // 2, y + side + 5, label, 13, colour, anchor="ma")
    sheet.text(x + width // 2, y + side + 21, f"{result.classification.probability:.0%}", 12, FAINT, anchor="ma")


def _legend(sheet: Sheet) -> None:
    x = MARGIN
    for verdict, meaning in (("good", "right"), ("unsure", "not sure, and reported as such"), ("bad", "wrong")):
        sheet.pen.rectangle((x, sheet.y, x + 14, sheet.y + 14), outline=_FRAMES[verdict], width=4)
        sheet.text(x + 22, sheet.y - 2, meaning, 14, FAINT)
        x += 60 + int(sheet.pen.textlength(meaning, font=ImageFont.load_default(14)))
    sheet.y += 14 + MARGIN


def _sample(items: Sequence[Result], count: int) -> Sequence[Result]:
    """Returns `count` items, evenly spread, so that the choice is neither the best nor the worst."""
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(count)]
