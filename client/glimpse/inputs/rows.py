"""Reads the rows of CSV, TSV, JSON lines and Parquet one by one, in bounded memory."""

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

#: The number of a row, and its values by column, or the error of the row.
Row = tuple[int, dict[str, Any] | Rejected]
_KEY_ROWS = 1_000  # rows of JSON lines that decide which keys are columns
# The csv module's default limit for a cell is shorter than a long text. Rows have their own limit below.
csv.field_size_limit(MAX_LINE)


def columns_of(path: Path) -> Sequence[str]:
    """Returns the columns of a table; an empty table has none.

    Raises:
        InputsError: The file is not a table of the kind that its suffix says.
        OSError: The file cannot be opened.
        TableDamaged: The file is Parquet and cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == PARQUET:
        return parquet.columns_of(path)
    if suffix in CELLS:
        first = next((row for _, row in _cells(path, CELLS[suffix]) if not isinstance(row, Rejected)), [])
        return [name.strip() for name in first]
    first_rows = [row for _, row in islice(_json_rows(path), _KEY_ROWS)]
    objects = [row for row in first_rows if not isinstance(row, Rejected)]
    if first_rows and not objects:
        raise InputsError(f"{path} is not JSON lines: {first_rows[0]}")
    return list(dict.fromkeys(key for row in objects for key in row))


def rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    """Yields line numbers (for Parquet, row numbers from 1) and rows with at least the wanted columns.

    Raises:
        InputsError: As `columns_of`.
        OSError: As `columns_of`.
        TableDamaged: As `columns_of`.
    """
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
            message = f"{len(cells)} cells, but the first line has {len(header)}"
            yield line, Rejected(ROW_MALFORMED, message)
        else:
            # If the column names have spaces around them, this is the table's style; strip its cells too.
            yield line, dict(zip(header, (cell.strip() for cell in cells) if is_spaced else cells, strict=True))


def _cells(path: Path, delimiter: str) -> Iterator[tuple[int, list[str] | Rejected]]:
    """Yields the line number where a row begins, and its cells."""
    with open_text(path) as file:
        source = _Lines(lines(file))
        try:
            first = next(source, "")
        except Rejected as error:
            yield 1, error
            first = ""
        source.put_back(first)
        is_spaced = f"{delimiter} " in first
        # Without skipinitialspace, a quote after a space would be part of the cell.
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
                    yield line, Rejected(ROW_MALFORMED, "a quote is not closed") if source.ended else cells


class _Lines:
    """Lines for the CSV reader, which reads as many as a row has. Limits the characters of a row."""

    def __init__(self, numbered: Iterator[tuple[int, str | Rejected]]) -> None:
        self._numbered = numbered
        self._held: str | None = None
        self._number = 0
        self._size = 0
        #: Whether the file ended inside a row.
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
            raise Rejected(ROW_MALFORMED, f"a row has more than {MAX_LINE:,} characters; is a quote not closed?")
        return text

    def put_back(self, line: str) -> None:
        """Makes `line`, which was read last, the next line again."""
        self._held = line or None

    def begin_row(self) -> int:
        """Starts a row, and returns the number of its first line."""
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
