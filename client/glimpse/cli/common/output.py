"""Tables and notes for people. The module `records` prints JSON and CSV for programs."""

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from glimpse.cli.common.options import Format
from glimpse.cli.common.records import on_terminal, print_all, print_data

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}
_MIN_WIDTH = 8  # characters of a column without a fixed width
_WHOLE_WORDS: Any = {"break_on_hyphens": False, "break_long_words": False}
_MEASURED_ROWS = 1_000  # rows that decide the column widths if nothing is cut


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: The heading.
        width: Characters; 0 divides the remaining width among such columns, in proportion to `share`.
        right: Whether to align to the right.
        share: The weight of a column without a fixed width.
        path: Whether the column holds paths. On a terminal a text that is too long is cut at its end; a path is cut
            at its start, because paths differ at their ends.
    """

    title: str
    width: int = 0
    right: bool = False
    share: int = 1
    path: bool = False


class Table:
    """Prints rows as they arrive, as wide as the terminal.

    If stdout is not a terminal, nothing is cut, and columns grow with their values.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        parts = sum(column.share for column in columns if not column.width)
        fixed, gaps = sum(column.width for column in columns), len(columns) - 1
        # A narrow terminal gets narrower gaps before narrower columns.
        self._gap = 2 if terminal_width() - fixed - 2 * gaps >= _MIN_WIDTH * parts else 1
        free = terminal_width() - fixed - self._gap * gaps
        min_width = _MIN_WIDTH if self._gap == 2 else _MIN_WIDTH // 2
        self._widths = [column.width or max(min_width, free * column.share // (parts or 1)) for column in columns]
        self._begun = False

    def row(self, *cells: object, colour: str = "") -> None:
        """Prints one row, and before the first one the headings."""
        texts = [printable(cell) for cell in cells]
        self._grow(texts)
        self._begin()
        print(styled(self._line(texts), colour), flush=on_terminal())

    def rows(self, rows: Iterable[Sequence[object]]) -> None:
        """Prints many rows, in columns wide enough for the first thousand. Without rows it prints the headings."""
        remaining = iter(rows)
        first = list(islice(remaining, _MEASURED_ROWS))
        self.measure(first)
        if not first:
            self._begin()
        for cells in chain(first, remaining):
            self.row(*cells)

    def measure(self, rows: Iterable[Sequence[object]]) -> None:
        """Widens columns for rows that follow, by what other columns without a fixed width do not need.

        Has no effect after the first printed row.
        """
        if self._begun:
            return
        texts = [[column.title for column in self._columns], *([printable(cell) for cell in cells] for cells in rows)]
        needed = [max(map(display_width, cells)) for cells in zip(*texts, strict=True)]
        flexible = [i for i, column in enumerate(self._columns) if not column.width]
        for receiver in flexible:
            for giver in flexible:
                spare, missing = self._widths[giver] - needed[giver], needed[receiver] - self._widths[receiver]
                moved = max(0, min(spare, missing))
                self._widths[giver] -= moved
                self._widths[receiver] += moved
        for cells in texts:
            self._grow(cells)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            print(styled(self._line([column.title for column in self._columns]), "bold"))

    def _grow(self, texts: Sequence[str]) -> None:
        if not on_terminal():
            widths = [display_width(text) for text in texts]
            self._widths = [max(pair) for pair in zip(widths, self._widths, strict=True)]

    def _line(self, cells: Sequence[str]) -> str:
        fitted = [_fit(*cell) for cell in zip(cells, self._widths, self._columns, strict=True)]
        return (" " * self._gap).join(fitted).rstrip()


def terminal_width() -> int:
    """Returns the width of a line in characters: the variable COLUMNS, the terminal's width, or 80."""
    return shutil.get_terminal_size((80, 24)).columns


def styled(text: str, colour: str) -> str:
    """Returns the text in a colour if stdout is a terminal and NO_COLOR is not set (https://no-color.org)."""
    if not colour or not on_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def print_records(
    output: Format, records: Iterable[dict[str, Any]], columns: Sequence[Column], fields: Sequence[str] = ()
) -> None:
    """Prints a list of resources.

    Args:
        output: The format. A table shows the fields of `columns`; JSON and CSV show all fields.
        records: The resources.
        columns: The columns of a table. A column shows the field that is named like its title in lower case.
        fields: The columns of a CSV.
    """
    if output is not Format.TABLE:
        print_all(output, records, fields)
        return
    names = [column.title.lower().replace(" ", "_") for column in columns]
    Table(columns).rows([record[name] for name in names] for record in records)


def print_record(output: Format, record: dict[str, Any]) -> None:
    """Prints one resource; as a table, one field per line, wrapped to a terminal's width."""
    if output is not Format.TABLE:
        print_data(output, record)
        return
    width = max(map(len, record))
    room = terminal_width() - width - 2
    for name, value in record.items():
        text = printable(value)
        first, *others = (textwrap.wrap(text, room, **_WHOLE_WORDS) if on_terminal() else ()) or [text]
        print(f"{styled(name.ljust(width), 'bold')}  {first}".rstrip())
        for line in others:
            print(" " * (width + 2) + line)


def print_note(text: str) -> None:
    """Prints a line on stderr, so that stdout contains only results."""
    print(text, file=sys.stderr, flush=True)


def percent(part: float) -> str:
    """Formats a fraction in [0, 1]: 0.842 is `84.2 %`."""
    return f"{100 * part:.1f} %"


def printable(value: object) -> str:
    """Formats a value for people, and replaces control characters, which a terminal would obey."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(printable, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={printable(item)}" for key, item in value.items())
    return "".join(character if character.isprintable() else "�" for character in str(value))


def _fit(text: str, width: int, column: Column) -> str:
    """Pads a cell's text to `width`; on a terminal, cuts it to that width too."""
    if display_width(text) > width and on_terminal():
        text = _cut(text[::-1], width)[::-1] if column.path else _cut(text, width)
    space = " " * (width - display_width(text))
    return space + text if column.right else text + space


def _cut(text: str, width: int) -> str:
    room, kept = width - 1, 0  # the ellipsis takes one column
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        kept += 1
    return f"{text[:kept]}…"


def display_width(text: str) -> int:
    """Returns the number of terminal columns that a text takes."""
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0  # a combining mark, which is drawn over the character before it
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
