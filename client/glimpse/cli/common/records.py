"""Prints records for programs: JSON with one object per line, or CSV as in RFC 4180 with one heading row."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glimpse.cli.common.options import Format


class RecordWriter:
    """Prints records as they arrive.

    A command names its CSV columns, so that they do not depend on the data. The column `error.code` holds the field
    `code` of the object `error`. All other objects, and lists, are JSON in their cells. Null and missing fields are
    empty cells.
    """

    def __init__(self, output: Format, fields: Sequence[str] = ()) -> None:
        """Sets the format, and the columns of a CSV; by default these are the first record's fields."""
        self._output = output
        self._fields = tuple(fields)
        self._begun = False

    def write(self, **record: Any) -> None:
        """Prints one record."""
        if self._output is Format.JSON:
            print(json_text(record), flush=on_terminal())
            return
        self._fields = self._fields or tuple(record)
        self.begin()
        self._row([_cell(_field(record, name)) for name in self._fields])

    def begin(self) -> None:
        """Prints the heading row of a CSV, once. A list without records has one too."""
        if self._output is Format.CSV and not self._begun:
            self._begun = True
            self._row(self._fields)

    def _row(self, cells: Sequence[str]) -> None:
        if on_terminal():
            # A terminal would obey control characters. A file gets the values unchanged.
            cells = ["".join(char if char.isprintable() or char == "\n" else "�" for char in cell) for cell in cells]
        # RFC 4180 ends lines with CRLF. stdout does not translate line ends on the supported systems.
        csv.writer(sys.stdout, lineterminator="\r\n").writerow(cells)
        if on_terminal():
            sys.stdout.flush()


def on_terminal() -> bool:
    """Returns whether stdout is a terminal."""
    return sys.stdout.isatty()


def print_data(output: Format, record: Mapping[str, Any], fields: Sequence[str] = ()) -> None:
    """Prints a single record."""
    RecordWriter(output, fields).write(**record)


def print_all(output: Format, records: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> None:
    """Prints records. A CSV without records still has its heading row."""
    writer = RecordWriter(output, fields)
    for record in records:
        writer.write(**record)
    writer.begin()


def within(name: str, *fields: str) -> tuple[str, ...]:
    """Returns the column names for fields of an object: `error.code`, `error.reason`."""
    return tuple(f"{name}.{field}" for field in fields)


def json_text(value: Any) -> str:
    """Returns a value as JSON on one line, in characters that stdout can encode."""
    return json.dumps(value, ensure_ascii=(sys.stdout.encoding or "").lower().replace("-", "") != "utf8")


def _field(record: Mapping[str, Any], name: str) -> Any:
    if name in record:
        return record[name]
    outer, _, inner = name.partition(".")
    value = record.get(outer)
    return _field(value, inner) if inner and isinstance(value, Mapping) else None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text(value)
