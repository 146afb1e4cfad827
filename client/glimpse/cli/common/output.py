"""Answers as rows for people; as JSON and CSV they go to records.py."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from glimpse.cli.common.options import Format
from glimpse.cli.common.records import on_terminal, print_all, print_data

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}
_LEAST = 8  # characters of a column without a width
_FITTED = 1_000  # rows that decide how wide columns are where nothing is cut


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Width 0: what the others leave, of which `share` parts.

    On a terminal, what is too long is cut at its end; a `path` in front, where paths are alike.
    """

    title: str
    width: int = 0
    right: bool = False
    share: int = 1
    path: bool = False


class Table:
    """Rows as wide as the terminal, printed as they come.

    Where stdout is no terminal nothing is cut: a column grows with what it is given.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        parts = sum(column.share for column in columns if not column.width)
        fixed, gaps = sum(column.width for column in columns), len(columns) - 1
        # On a narrow terminal the gaps are given up first.
        self._gap = 2 if terminal_width() - fixed - 2 * gaps >= _LEAST * parts else 1
        free = terminal_width() - fixed - self._gap * gaps
        least = _LEAST if self._gap == 2 else _LEAST // 2
        self._widths = [column.width or max(least, free * column.share // (parts or 1)) for column in columns]
        self._begun = False

    def row(self, *cells: object, colour: str = "") -> None:
        """Prints one row; the title row before the first."""
        texts = [printable(cell) for cell in cells]
        self._grow(texts)
        if not self._begun:
            self._begun = True
            print(styled(self._line([column.title for column in self._columns]), "bold"))
        print(styled(self._line(texts), colour), flush=on_terminal())

    def rows(self, rows: Iterable[Sequence[object]]) -> None:
        """Prints many rows, in columns as wide as the first thousand need."""
        remaining = iter(rows)
        first = list(islice(remaining, _FITTED))
        for cells in first:
            self._grow([printable(cell) for cell in cells])
        for cells in chain(first, remaining):
            self.row(*cells)

    def _grow(self, texts: Sequence[str]) -> None:
        if not on_terminal():
            widths = [display_width(text) for text in texts]
            self._widths = [max(pair) for pair in zip(widths, self._widths, strict=True)]

    def _line(self, cells: Sequence[str]) -> str:
        fitted = [_fit(*one) for one in zip(cells, self._widths, self._columns, strict=True)]
        return (" " * self._gap).join(fitted).rstrip()


def terminal_width() -> int:
    """How many columns there are for a line: the variable COLUMNS, the terminal's, or 80."""
    return shutil.get_terminal_size((80, 24)).columns


def styled(text: str, colour: str) -> str:
    """A text in a colour, where stdout is a terminal that may show it (https://no-color.org)."""
    if not colour or not on_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def print_records(
    output: Format, records: Iterable[dict[str, Any]], columns: Sequence[Column], fields: Sequence[str] = ()
) -> None:
    """Prints resources: every field for programs, for people those of the columns (by their titles in lower case).

    `fields` are the columns of a CSV; tables alone need none.
    """
    if output is not Format.TABLE:
        print_all(output, records, fields)
        return
    names = [column.title.lower().replace(" ", "_") for column in columns]
    Table(columns).rows([record[name] for name in names] for record in records)


def print_record(output: Format, record: dict[str, Any]) -> None:
    """Prints one resource: for people, a field a line."""
    if output is not Format.TABLE:
        print_data(output, record)
        return
    width = max(map(len, record))
    for name, value in record.items():
        print(f"{styled(name.ljust(width), 'bold')}  {printable(value)}")


def print_note(text: str) -> None:
    """A line for people on stderr, so that stdout stays the answer's."""
    print(text, file=sys.stderr, flush=True)


def percent(part: float) -> str:
    """A part, in [0, 1], for people."""
    return f"{100 * part:.1f} %"


def printable(value: object) -> str:
    """A value for people; what a terminal would take for a command is replaced."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(printable, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={printable(one)}" for key, one in value.items())
    return "".join(character if character.isprintable() else "�" for character in str(value))


def _fit(text: str, width: int, column: Column) -> str:
    """A cell's text in exactly `width` columns of a terminal; elsewhere in as many at least."""
    if display_width(text) > width and on_terminal():
        text = _cut(text[::-1], width)[::-1] if column.path else _cut(text, width)
    space = " " * (width - display_width(text))
    return space + text if column.right else text + space


def _cut(text: str, width: int) -> str:
    room, kept = width - 1, 0  # a column is the ellipsis's
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        kept += 1
    return f"{text[:kept]}…"


def display_width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0  # a mark on the character before it
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
