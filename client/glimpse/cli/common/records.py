"""Records for programs: JSON, an object a line, or CSV as in RFC 4180, a row each under one title row."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glimpse.cli.common.options import Format


class RecordWriter:
    """Prints records as they come. Every command names its columns, so that they do not depend on the data.

    A column named `error.code` is the field `code` of the object `error`. Any other object, and every list, is JSON in
    its cell. Null is an empty cell, so is a field that a record lacks.
    """

    def __init__(self, output: Format, fields: Sequence[str] = ()) -> None:
        """Without `fields` the columns of a CSV are the first record's fields."""
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
        """Prints a CSV's title row, once. A list without records has one too."""
        if self._output is Format.CSV and not self._begun:
            self._begun = True
            self._row(self._fields)

    def _row(self, cells: Sequence[str]) -> None:
        if on_terminal():
            # A terminal would obey control characters; a file gets the values as they are.
            cells = ["".join(one if one.isprintable() or one == "\n" else "�" for one in cell) for cell in cells]
        # Fields are written with CRLF, and Python adds none of its own on the systems that the command runs on.
        csv.writer(sys.stdout, lineterminator="\r\n").writerow(cells)
        if on_terminal():
            sys.stdout.flush()


def on_terminal() -> bool:
    """Returns whether stdout is a terminal."""
    return sys.stdout.isatty()


def print_data(output: Format, record: Mapping[str, Any], fields: Sequence[str] = ()) -> None:
    """Prints one record by itself."""
    RecordWriter(output, fields).write(**record)


def print_all(output: Format, records: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> None:
    """Prints records; of none, a CSV's title row."""
    writer = RecordWriter(output, fields)
    for record in records:
        writer.write(**record)
    writer.begin()


def within(name: str, *fields: str) -> tuple[str, ...]:
    """The columns of an object's fields: `error.code`, `error.reason`."""
    return tuple(f"{name}.{field}" for field in fields)


def json_text(value: Any) -> str:
    """A value as JSON on one line, in characters that stdout can write."""
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
