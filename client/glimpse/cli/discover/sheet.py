"""The contact sheet: a row of pictures for each group, the medoid first."""

from pathlib import Path

from PIL import Image

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import printable
from glimpse.cli.common.sheet import FAINT, GAP, MARGIN, WIDTH, Sheet
from glimpse.cli.discover.findings import Findings

_COLUMNS, _SHOWN_GROUPS = 10, 40
_SIDE = (WIDTH - 2 * MARGIN - (_COLUMNS - 1) * GAP) // _COLUMNS
_GAP_BELOW = 14
_ROW, _HEAD = _SIDE + 44 + _GAP_BELOW, 110


def draw(findings: Findings) -> Image.Image:
    """Draws the largest groups. A row shows members from the medoid to the least similar one, evenly spread.

    Raises:
        CliError: None of the inputs is a picture on this machine.
    """
    shown = findings.shown_groups[:_SHOWN_GROUPS]
    sheet = Sheet(_HEAD + MARGIN + len(shown) * _ROW)
    note = f"{len(findings.items):,} {findings.items.noun}, {findings.several:,} groups, {findings.alone:,} alone"
    hidden = f"; the {len(shown)} largest groups" if len(shown) < findings.several else ""
    sheet.text(MARGIN, sheet.y, sheet.cut(printable(findings.items.source), WIDTH - 2 * MARGIN, 30), 30)
    sheet.text(MARGIN, sheet.y + 42, note + hidden, 18, FAINT)
    sheet.y += _HEAD - MARGIN
    drawn = sum(_row(sheet, findings, number) for number in shown)
    if not drawn:
        raise CliError(
            "--sheet: none of the inputs is a picture on this machine", "discover a folder of pictures instead"
        )
    sheet.y += MARGIN - _GAP_BELOW
    return sheet.finished()


def _row(sheet: Sheet, findings: Findings, number: int) -> int:
    """Draws a group, and returns how many pictures could be drawn."""
    labels = ", ".join(f"{label} {count:,}" for label, count in findings.labels(number).items())
    names = ", ".join(name for name, _ in findings.names[number])
    about = printable(" · ".join(part for part in (f"{findings.groups.sizes[number]:,}", names, labels) if part))
    sheet.heading(f"Group {number + 1}", sheet.cut(about, WIDTH - 2 * MARGIN - 200, 16))
    members = findings.members(number).tolist()
    count = min(len(members), _COLUMNS)
    steps = max(count - 1, 1)
    places = [members[i * (len(members) - 1) // steps] for i in range(count)]
    drawn = [_picture(sheet, i, findings.items.files[place]) for i, place in enumerate(places)]
    sheet.y += _SIDE + _GAP_BELOW
    return sum(drawn)


def _picture(sheet: Sheet, column: int, file: Path | None) -> bool:
    """Draws a picture, and returns whether it can be read; an empty card if not."""
    x = MARGIN + column * (_SIDE + GAP)
    try:
        if file is not None:
            sheet.picture(x, sheet.y, _SIDE, file)
            return True
    except (OSError, ValueError, Image.DecompressionBombError):
        pass
    sheet.pen.rectangle((x, sheet.y, x + _SIDE - 1, sheet.y + _SIDE - 1), outline=FAINT)
    return False
