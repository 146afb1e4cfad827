"""Draws the kept pictures of review items on one sheet."""

from collections.abc import Sequence

from PIL import Image

from glimpse.cli.common.sheet import FAINT, MARGIN, WIDTH, Sheet
from glimpse.client import KeptInput, ReviewItem

_COLUMNS = 8
_CAPTION = 44  # pixels of the two lines below a picture
_HEADING = 80
Pair = tuple[ReviewItem, KeptInput]


def draw_items(pairs: Sequence[Pair], left_out: int) -> Image.Image:
    """Draws items with their ids, decisions and labels.

    Args:
        pairs: Items with their pictures. A picture that cannot be read stays empty.
        left_out: Number of further items, for the heading.
    """
    rows = -(-len(pairs) // _COLUMNS)
    side = (WIDTH - 2 * MARGIN) // _COLUMNS
    sheet = Sheet(2 * MARGIN + _HEADING + rows * (side + _CAPTION))
    title = "1 item" if len(pairs) == 1 else f"{len(pairs)} items"
    sheet.heading(title, f"{left_out} more are not shown" if left_out else "")
    sheet.grid(pairs, _COLUMNS, side + _CAPTION, _draw)
    sheet.y += MARGIN
    return sheet.finished()


def _draw(sheet: Sheet, x: int, y: int, width: int, pair: Pair) -> None:
    item, picture = pair
    if isinstance(picture.content, bytes):
        sheet.picture(x, y, width, picture.content)
    sheet.text(x, y + width + 4, sheet.cut(item.id, width, 12), 12)
    decision = f"{item.decision.name} {item.label}".strip()
    sheet.text(x, y + width + 20, sheet.cut(decision, width, 12), 12, FAINT)
