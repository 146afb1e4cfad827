"""`glimpse ledger log`."""

import sys
import textwrap
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import display_width, print_note, printable, styled, terminal_width
from glimpse.cli.common.records import RecordWriter
from glimpse.cli.ledger.location import Data, LedgerUrl, ledger_settings

_PAUSE_SECONDS = 1.0
_TITLES = ("REVISION", "TIME (UTC)", "KIND", "COLLECTION", "WHO", "WHAT")
_FIELDS = ("revision", "time", "kind", "collection", "who", "what", "subject", "digest")
# Changes that decide how wide the columns are; less room than this for WHAT, and it stands in a line of its own.
_LOOKED_AT, _LEAST = 1_000, 24


def log(
    after: Annotated[int, typer.Option("--after", min=0, metavar="REVISION", help="Only later changes.")] = 0,
    collection: Annotated[str | None, typer.Option("--collection", metavar="NAME", help="Only of this one.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with changes as they come, until Ctrl-C.")] = False,
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Every change there was, the newest last: when, of what, by whom. Times are UTC."""
    lines, writer, since = _Lines(), RecordWriter(output, _FIELDS), after
    with ledger_settings(config, data, ledger) as settings:
        from glimpse.ledger.maintenance.history import about
        from glimpse.ledger.maintenance.history import log as changes

        while True:
            for change in changes(settings.ledger_url, after=since, collection=collection):
                since, when = change.revision, datetime.fromtimestamp(change.time / 1e6, UTC)
                what, of = about(change), change.collection_id
                if output is not options.Format.TABLE:
                    told = {"revision": since, "time": when.isoformat(), "kind": change.kind, "collection": of}
                    writer.write(**told, who=change.actor, what=what, subject=change.subject, digest=change.digest)
                else:
                    lines.add(since, f"{when:%Y-%m-%d %H:%M:%S}", change.kind, of or "-", change.actor or "-", what)
            lines.print()
            writer.begin()
            sys.stdout.flush()
            if not follow:
                break
            time.sleep(_PAUSE_SECONDS)
    if since == after:
        print_note("no changes")


class _Lines:
    """Changes in columns that are as wide as the first ones need; nothing is cut.

    On a terminal WHAT goes on in further lines; elsewhere each change is one line.
    """

    def __init__(self) -> None:
        self._rows: list[list[str]] = [list(_TITLES)]
        self._widths: list[int] = []

    def add(self, *cells: object) -> None:
        self._rows.append(list(map(printable, cells)))
        if len(self._rows) > _LOOKED_AT:
            self.print()

    def print(self) -> None:
        """Prints what was added since."""
        titled = not self._widths
        if titled and len(self._rows) == 1:
            return
        if titled:
            self._widths = [max(map(display_width, cells)) for cells in zip(*self._rows, strict=True)][:-1]
        for number, row in enumerate(self._rows):
            print(styled(self._line(row), "bold" if titled and not number else ""))
        self._rows.clear()

    def _line(self, row: Sequence[str]) -> str:
        revision, *others, what = row
        pads = [" " * (width - display_width(cell)) for width, cell in zip(self._widths, row, strict=False)]
        cells = [pads[0] + revision, *(cell + pad for cell, pad in zip(others, pads[1:], strict=True))]
        line = "  ".join(cells)
        if not sys.stdout.isatty():
            return f"{line}  {what}".rstrip()
        indent = display_width(line) + 2
        below = terminal_width() - indent < _LEAST
        indent = self._widths[0] + 2 if below else indent
        parts = textwrap.wrap(what, max(_LEAST, terminal_width() - indent))
        lines = [line.rstrip(), *parts] if below else [f"{line}  {parts[0] if parts else ''}".rstrip(), *parts[1:]]
        return f"\n{' ' * indent}".join(lines)
