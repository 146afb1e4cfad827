"""Answers as rows for people, or as one JSON object a line."""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from glimpse.cli.options import Format

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Width 0: what the others leave, of which `share` parts.

    What is too long is cut at its end; a `path` in front, where paths are alike.
    """

    title: str
    width: int = 0
    right: bool = False
    share: int = 1
    path: bool = False


class Table:
    """Rows as wide as the terminal (80 where there is none), printed as they come."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        free = terminal_width() - sum(column.width for column in columns) - 2 * (len(columns) - 1)
        parts = sum(column.share for column in columns if not column.width) or 1
        self._widths = [column.width or max(8, free * column.share // parts) for column in columns]
        self._begun = False

    def row(self, *cells: object, colour: str = "") -> None:
        """Prints one row; the title row before the first."""
        if not self._begun:
            self._begun = True
            print(styled(self._line([column.title for column in self._columns]), "bold"))
        print(styled(self._line([shown(cell) for cell in cells]), colour), flush=sys.stdout.isatty())

    def _line(self, cells: Sequence[str]) -> str:
        fitted = [_fit(*one) for one in zip(cells, self._widths, self._columns, strict=True)]
        return "  ".join(fitted).rstrip()


def terminal_width() -> int:
    """How many columns stdout has; 80 where it is no terminal."""
    return shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else 80


def styled(text: str, colour: str) -> str:
    """A text in a colour, where stdout is a terminal that may show it (https://no-color.org)."""
    if not colour or not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def print_json(**values: Any) -> None:
    """One JSON object on a line of its own."""
    print(json.dumps(values, ensure_ascii=False), flush=sys.stdout.isatty())


def print_records(output: Format, records: Iterable[dict[str, Any]], columns: Sequence[Column]) -> None:
    """Resources: every field as JSON, or the columns' (named by their titles in lower case)."""
    table = Table(columns)
    for record in records:
        if output is Format.JSON:
            print_json(**record)
        else:
            table.row(*(record[column.title.lower().replace(" ", "_")] for column in columns))


def print_record(output: Format, record: dict[str, Any]) -> None:
    """One resource: as JSON, or a field a line."""
    if output is Format.JSON:
        print_json(**record)
        return
    width = max(map(len, record))
    for name, value in record.items():
        print(f"{styled(name.ljust(width), 'bold')}  {shown(value)}")


def tell(text: str) -> None:
    """A line for people on stderr, so that stdout stays the answer's."""
    print(text, file=sys.stderr, flush=True)


def percent(part: float) -> str:
    """A part, in [0, 1], for people."""
    return f"{100 * part:.1f} %"


def shown(value: object) -> str:
    """A value for people; what a terminal would take for a command is replaced."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={shown(one)}" for key, one in value.items())
    return "".join(character if character.isprintable() else "�" for character in str(value))


def _fit(text: str, width: int, column: Column) -> str:
    """A cell's text in exactly `width` columns of a terminal."""
    if display_width(text) > width:
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
