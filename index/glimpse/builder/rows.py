"""The rows of CSV, TSV, JSON lines and Parquet, one by one, however many there are."""

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from glimpse.builder.errors import BuildError
from glimpse.builder.fields import ROW_MALFORMED, Rejected

#: A row's number, and what stands there by column, or what is wrong with it.
Row = tuple[int, dict[str, Any] | Rejected]
_CELLS, _JSON_LINES, PARQUET = {".csv": ",", ".tsv": "\t"}, (".jsonl", ".ndjson"), ".parquet"
TABLES = (*_CELLS, *_JSON_LINES, PARQUET)
_FIRST = 1_000  # lines of JSON that say what the keys are
_BATCH = 16  # rows of Parquet at a time; each may be a picture
# Of a line, in characters; and how lines end.
_LONGEST, _ENDS = 1 << 26, ("\n", "\r")
# A text in one cell may be long.
csv.field_size_limit(1 << 27)


class TableDamaged(Exception):
    """A table whose rest cannot be read."""


def columns_of(path: Path) -> Sequence[str]:
    """A table's columns; none: the table is empty. Raises OSError, TableDamaged, BuildError."""
    suffix = path.suffix.lower()
    if suffix == PARQUET:
        with _parquet(path) as file:
            return list(file.schema_arrow.names)
    if suffix in _CELLS:
        return next((row for _, row in _cells(path, _CELLS[suffix]) if not isinstance(row, Rejected)), [])
    first = [row for _, row in islice(_json_rows(path), _FIRST)]
    objects = [row for row in first if not isinstance(row, Rejected)]
    if first and not objects:
        raise BuildError(f"{path} is not JSON lines: {first[0]}")
    return list(dict.fromkeys(key for row in objects for key in row))


def rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    """Rows by line, Parquet's by row number from 1, with at least the columns wanted. Raises OSError, TableDamaged."""
    suffix = path.suffix.lower()
    if suffix == PARQUET:
        return _parquet_rows(path, wanted)
    return _json_rows(path) if suffix in _JSON_LINES else _csv_rows(path, _CELLS[suffix])


def open_text(path: Path) -> TextIO:
    """A text file, line ends as they are; a byte that is not UTF-8 spoils its own line only."""
    return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")


def lines(file: TextIO) -> Iterator[tuple[int, str | Rejected]]:
    """The lines by number; of one that is too long a piece at a time is in memory."""
    for number in count(1):
        line = piece = file.readline(_LONGEST)
        if not line:
            return
        while len(piece) == _LONGEST and not piece.endswith(_ENDS):
            piece = file.readline(_LONGEST)
            if piece:
                line = ""
        yield number, line or Rejected(ROW_MALFORMED, f"a line of more than {_LONGEST:,} characters")


def _csv_rows(path: Path, delimiter: str) -> Iterator[Row]:
    header: list[str] | None = None
    for line, cells in _cells(path, delimiter):
        if isinstance(cells, Rejected):
            yield line, cells
        elif header is None:
            header = cells
        elif len(cells) != len(header):
            message = f"{len(cells)} cells, and the first line has {len(header)}"
            yield line, Rejected(ROW_MALFORMED, message)
        else:
            yield line, dict(zip(header, cells, strict=True))


def _cells(path: Path, delimiter: str) -> Iterator[tuple[int, list[str] | Rejected]]:
    """Each row, by the line it begins at."""
    with open_text(path) as file:
        ended: list[bool] = []
        # The mark comes last, and is drawn only by a row that is open still; no line holds it then.
        reader = csv.reader(chain(file, _mark(ended)), delimiter=delimiter)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, Rejected(ROW_MALFORMED, str(error))
                continue
            if cells:
                yield line, Rejected(ROW_MALFORMED, "a quote that is not closed") if ended else cells


def _mark(ended: list[bool]) -> Iterator[str]:
    ended.append(True)
    yield from ()


def _json_rows(path: Path) -> Iterator[Row]:
    with open_text(path) as file:
        for line, text in lines(file):
            if isinstance(text, Rejected):
                yield line, text
            elif text.strip():
                yield line, _object(text)


def _object(text: str | bytes) -> dict[str, Any] | Rejected:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Rejected(ROW_MALFORMED, f"not JSON: {error}")
    return found if isinstance(found, dict) else Rejected(ROW_MALFORMED, "not a JSON object")


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        # Buffered, a column is read page by page; else a whole row group of it would lie in memory.
        return pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except pa.ArrowException as error:
        raise TableDamaged(str(error)) from error


def _parquet_rows(path: Path, wanted: Collection[str]) -> Iterator[Row]:
    number = 0
    with _parquet(path) as file:
        there = [name for name in file.schema_arrow.names if name in wanted]
        try:
            for batch in file.iter_batches(_BATCH, columns=there, use_threads=False):
                for record in batch.to_pylist():
                    number += 1
                    yield number, record
        except (pa.ArrowException, OSError, ValueError) as error:
            raise TableDamaged(f"{error} (after row {number})") from error
