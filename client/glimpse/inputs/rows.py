"""The rows of CSV, TSV, JSON lines and Parquet, one by one, however many there are."""

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from glimpse.inputs import parquet
from glimpse.inputs.errors import ROW_MALFORMED, InputsError, Rejected
from glimpse.inputs.formats import CELLS, JSON_LINES, PARQUET
from glimpse.inputs.lines import MAX_LINE, lines, open_text

#: A row's number, and what stands there by column, or what is wrong with it.
Row = tuple[int, dict[str, Any] | Rejected]
_FIRST = 1_000  # lines of JSON that say what the keys are
# The bound of a row is that of its lines; the library's own, of a cell, is far less than a long text.
csv.field_size_limit(MAX_LINE)


def columns_of(path: Path) -> Sequence[str]:
    """A table's columns; none: the table is empty.

    Raises:
        InputsError: It is no such table.
        OSError: It cannot be opened.
        TableDamaged: It is Parquet that cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == PARQUET:
        return parquet.columns_of(path)
    if suffix in CELLS:
        first = next((row for _, row in _cells(path, CELLS[suffix]) if not isinstance(row, Rejected)), [])
        return [name.strip() for name in first]
    rows_there = [row for _, row in islice(_json_rows(path), _FIRST)]
    objects = [row for row in rows_there if not isinstance(row, Rejected)]
    if rows_there and not objects:
        raise InputsError(f"{path} is not JSON lines: {rows_there[0]}")
    return list(dict.fromkeys(key for row in objects for key in row))


def rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    """Rows by line, Parquet's by row number from 1, with at least the columns wanted. Raises as `columns_of`."""
    suffix = path.suffix.lower()
    if suffix == PARQUET:
        return parquet.rows(path, wanted)
    return _json_rows(path) if suffix in JSON_LINES else _csv_rows(path, CELLS[suffix])


def _csv_rows(path: Path, delimiter: str) -> Iterator[Row]:
    header: list[str] | None = None
    is_spaced = False
    for line, cells in _cells(path, delimiter):
        if isinstance(cells, Rejected):
            yield line, cells
        elif header is None:
            header = [name.strip() for name in cells]
            is_spaced = header != cells
        elif len(cells) != len(header):
            message = f"{len(cells)} cells, and the first line has {len(header)}"
            yield line, Rejected(ROW_MALFORMED, message)
        else:
            # Spaces around names are those of the table's style, and stand around its cells too.
            yield line, dict(zip(header, (cell.strip() for cell in cells) if is_spaced else cells, strict=True))


def _cells(path: Path, delimiter: str) -> Iterator[tuple[int, list[str] | Rejected]]:
    """Each row, by the line it begins at."""
    with open_text(path) as file:
        source = _Lines(lines(file))
        try:
            first = next(source, "")
        except Rejected as error:
            yield 1, error
            first = ""
        source.put_back(first)
        is_spaced = f"{delimiter} " in first
        # With a space before it, a quote would be a part of its cell.
        reader = csv.reader(source, delimiter=delimiter, skipinitialspace=is_spaced)
        while True:
            line = source.begin_row()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, Rejected(ROW_MALFORMED, str(error))
            except Rejected as error:
                yield line, error
            else:
                if cells:
                    yield line, Rejected(ROW_MALFORMED, "a quote that is not closed") if source.ended else cells


class _Lines:
    """Lines for the CSV reader, which draws as many as a row has: bounded by the characters of a row."""

    def __init__(self, numbered: Iterator[tuple[int, str | Rejected]]) -> None:
        self._numbered = numbered
        self._held: str | None = None
        self._number = 0
        self._size = 0
        #: Whether a row was still open when the file ended.
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._held is not None:
            line, self._held = self._held, None
            return line
        numbered = next(self._numbered, None)
        if numbered is None:
            self.ended = True
            raise StopIteration
        self._number, text = numbered
        if isinstance(text, Rejected):
            raise text
        self._size += len(text)
        if self._size > MAX_LINE:
            raise Rejected(ROW_MALFORMED, f"a row of more than {MAX_LINE:,} characters; is a quote not closed?")
        return text

    def put_back(self, line: str) -> None:
        """Gives the line that was drawn last once more."""
        self._held = line or None

    def begin_row(self) -> int:
        """The number of the line that the next row begins at."""
        self._size, self.ended = 0, False
        return self._number + (self._held is None)


def _json_rows(path: Path) -> Iterator[Row]:
    with open_text(path) as file:
        for line, text in lines(file):
            if isinstance(text, Rejected):
                yield line, text
            elif text.strip():
                yield line, _object(text)


def _object(text: str) -> dict[str, Any] | Rejected:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Rejected(ROW_MALFORMED, f"not JSON: {error}")
    if isinstance(value, str):
        return {"text": value}
    return value if isinstance(value, dict) else Rejected(ROW_MALFORMED, "neither a JSON object nor a string")
