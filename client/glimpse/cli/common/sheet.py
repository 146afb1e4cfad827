"""A canvas for contact sheets: rows of pictures with captions."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageDraw, ImageFont, ImageOps

from glimpse.backbone.images.preprocess import to_rgb

WIDTH, MARGIN, GAP = 1280, 32, 12
INK, FAINT = "#22252a", "#7b8087"
_PAPER = "#f7f6f2"

T = TypeVar("T")
#: Draws an item into a cell: the sheet, the cell's left and upper edge and width, and the item.
Draw = Callable[["Sheet", int, int, int, T], None]


class Sheet:
    """A canvas that is filled from top to bottom."""

    def __init__(self, height: int) -> None:
        self.image = Image.new("RGB", (WIDTH, height), _PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.y = MARGIN

    def text(self, x: int, y: int, text: str, size: int, colour: str = INK, *, anchor: str = "la") -> None:
        """Draws a line of text."""
        self.pen.text((x, y), text, font=ImageFont.load_default(size), fill=colour, anchor=anchor)

    def heading(self, title: str, note: str) -> None:
        """Draws a section's title and a note beside it."""
        self.text(MARGIN, self.y, title, 24)
        left = MARGIN + int(self.pen.textlength(title, font=ImageFont.load_default(24))) + 14
        self.text(left, self.y + 8, note, 16, FAINT)
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

    def grid(self, items: Sequence[T], columns: int, height: int, draw: "Draw[T]") -> None:
        """Draws items in cells of equal size, row by row."""
        cell = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) // columns
        for i, item in enumerate(items):
            draw(self, MARGIN + i % columns * (cell + GAP), self.y + i // columns * (height + GAP), cell, item)
        self.y += -(-len(items) // columns) * (height + GAP) + 6

    def cut(self, text: str, width: int, size: int) -> str:
        """Cuts a text of a font size to a width in pixels."""
        font = ImageFont.load_default(size)
        if self.pen.textlength(text, font=font) <= width:
            return text
        while text and self.pen.textlength(f"{text}…", font=font) > width:
            text = text[:-1]
        return f"{text}…"

    def finished(self) -> Image.Image:
        """Returns the picture down to what was drawn last."""
        return self.image.crop((0, 0, WIDTH, self.y))
