"""`glimpse ledger log`: lists the changes of a ledger."""

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
# Changes that decide the column widths, and the least width of WHAT: with less, WHAT gets a line of its own.
_MEASURED_ROWS, _MIN_WIDTH = 1_000, 24


def log(
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="REVISION", help="List only changes after this revision.")
    ] = 0,
    collection: Annotated[
        str | None, typer.Option("--collection", metavar="NAME", help="List only changes of this collection.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Keep listing new changes until Ctrl-C.")] = False,
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List the changes of a ledger, newest last: revision, time (UTC), kind, collection and author."""
    lines, writer, since = _Lines(), RecordWriter(output, _FIELDS), after
    with ledger_settings(config, data, ledger) as settings:
        from glimpse.ledger.maintenance.history import describe_change, read_history

        while True:
            for change in read_history(settings.ledger_url, after=since, collection=collection):
                since, when = change.revision, datetime.fromtimestamp(change.time / 1e6, UTC)
                what, name = describe_change(change), change.collection_id
                if output is not options.Format.TABLE:
                    record = {"revision": since, "time": when.isoformat(), "kind": change.kind, "collection": name}
                    writer.write(**record, who=change.actor, what=what, subject=change.subject, digest=change.digest)
                else:
                    time_text = f"{when:%Y-%m-%d %H:%M:%S}"
                    lines.add(since, time_text, change.kind, name or "-", change.actor or "-", what)
            lines.print()
            writer.begin()
            sys.stdout.flush()
            if not follow:
                break
            time.sleep(_PAUSE_SECONDS)
    if since == after:
        print_note("no changes")


class _Lines:
    """Prints changes in columns that are wide enough for the first ones. Nothing is cut.

    On a terminal, WHAT continues on further lines; elsewhere each change is one line.
    """

    def __init__(self) -> None:
        self._rows: list[list[str]] = [list(_TITLES)]
        self._widths: list[int] = []

    def add(self, *cells: object) -> None:
        self._rows.append(list(map(printable, cells)))
        if len(self._rows) > _MEASURED_ROWS:
            self.print()

    def print(self) -> None:
        """Prints the rows added since the last call, with the headings on the first call."""
        has_titles = not self._widths
        if has_titles and len(self._rows) == 1:
            return
        if has_titles:
            self._widths = [max(map(display_width, cells)) for cells in zip(*self._rows, strict=True)][:-1]
        for number, row in enumerate(self._rows):
            print(styled(self._line(row), "bold" if has_titles and not number else ""))
        self._rows.clear()

    def _line(self, row: Sequence[str]) -> str:
        revision, *others, what = row
        pads = [" " * (width - display_width(cell)) for width, cell in zip(self._widths, row, strict=False)]
        cells = [pads[0] + revision, *(cell + pad for cell, pad in zip(others, pads[1:], strict=True))]
        line = "  ".join(cells)
        if not sys.stdout.isatty():
            return f"{line}  {what}".rstrip()
        indent = display_width(line) + 2
        below = terminal_width() - indent < _MIN_WIDTH
        indent = self._widths[0] + 2 if below else indent
        parts = textwrap.wrap(what, max(_MIN_WIDTH, terminal_width() - indent))
        lines = [line.rstrip(), *parts] if below else [f"{line}  {parts[0] if parts else ''}".rstrip(), *parts[1:]]
        return f"\n{' ' * indent}".join(lines)
