"""Tables whose rows are texts, pictures or paths to pictures; and files with a text a line."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glimpse.builder.entries import Entry, Kind, Unreadable
from glimpse.builder.errors import BuildError
from glimpse.builder.fields import (
    FILE_UNREADABLE,
    ROW_MALFORMED,
    Columns,
    Rejected,
    domain_of,
    id_of,
    label_of,
    legible,
    text_of,
)
from glimpse.builder.rows import PARQUET, TableDamaged, columns_of, lines, open_text, rows

_PATHS, _BYTES, _TEXT = ("path", "image"), "bytes", "text"
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class Table:
    """A table, the column its inputs stand in, and whether it gives ids."""

    path: Path
    column: str
    kind: Kind
    has_ids: bool
    columns: Columns

    def row(self, line: int, record: Mapping[str, Any] | Rejected) -> Entry | Unreadable:
        """One row, as an entry if it can be one."""
        source = f"{legible(str(self.path))}:{line}"
        id_ = None if self.has_ids else f"{legible(self.path.name)}:{line}"
        try:
            if isinstance(record, Rejected):
                raise record
            id_ = id_ or id_of(record.get(self.columns.id), self.columns.id)
            content = self._content(record)
            label, domain = label_of(record.get(self.columns.label)), domain_of(record.get(self.columns.domain))
        except Rejected as error:
            return Unreadable(source, id_, error.reason, str(error))
        return Entry(id_, source, self.kind, label, domain, content)

    def _content(self, record: Mapping[str, Any]) -> Path | bytes | str:
        value = record.get(self.column)
        if self.kind == "text":
            return text_of(value, self.column)
        if isinstance(value, dict):  # as the datasets library writes pictures
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes) and value:
            return value
        if self.column == _BYTES:
            raise Rejected(ROW_MALFORMED, f"{_BYTES!r} is {'no bytes' if value else 'empty'}")
        path = text_of(value, self.column)
        if _URL.match(path):
            raise Rejected("URL_NOT_FETCHED", f"{path[:200]} is not fetched; download it, and name the file")
        if "\0" in path:
            raise Rejected(ROW_MALFORMED, f"{self.column!r} is no path")
        return self.path.parent / path


def plan_table(path: Path, columns: Columns, kinds: Collection[Kind]) -> Table | None:
    """Which columns count; None: the table is empty. Raises BuildError, OSError, TableDamaged."""
    there = columns_of(path)
    if not there:
        return None
    named = _named(path, columns, kinds)
    column = next((name for name in named if name in there), None)
    if column is None:
        names = ", ".join(legible(name) for name in there[:20])
        wanted = " or ".join(map(repr, named)) or "that the backbone could read"
        raise BuildError(f"{path} has no column {wanted}; it has {names}", "name the one with the texts")
    _check_named(path, columns, there)
    return Table(path, column, named[column], columns.id in there, columns)


def read_table(path: Path, columns: Columns, kinds: Collection[Kind]) -> Iterator[Entry | Unreadable]:
    """A table's rows in order. Raises BuildError as plan_table does."""
    source = legible(str(path))
    try:
        if table := plan_table(path, columns, kinds):
            wanted = {table.column, columns.id, columns.label, columns.domain}
            for line, record in rows(path, wanted):
                yield table.row(line, record)
    except OSError as error:
        yield Unreadable(source, None, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}")
    except TableDamaged as error:
        yield Unreadable(source, None, "TABLE_DAMAGED", f"{source} is damaged: {error}")


def read_lines(path: Path) -> Iterator[Entry | Unreadable]:
    """A text file's lines in order; blank ones are none."""
    source, name = legible(str(path)), legible(path.name)
    try:
        with open_text(path) as file:
            for number, line in lines(file):
                if isinstance(line, str) and not line.strip():
                    continue
                try:
                    if isinstance(line, Rejected):
                        raise line
                    text = text_of(line.rstrip("\r\n"), "the line")
                except Rejected as error:
                    yield Unreadable(f"{source}:{number}", f"{name}:{number}", error.reason, str(error))
                else:
                    yield Entry(f"{name}:{number}", f"{source}:{number}", "text", None, None, text)
    except OSError as error:
        yield Unreadable(source, None, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}")


def _named(path: Path, columns: Columns, kinds: Collection[Kind]) -> Mapping[str, Kind]:
    """The columns that may hold inputs, the first one there counts: pictures before what is said of them."""
    if columns.text is not None:
        return {columns.text: "text"} if "text" in kinds else {}
    named: dict[str, Kind] = {}
    if "image" in kinds:
        # A file that holds its pictures needs no others; their paths are then only what they were called.
        own = (_BYTES,) if path.suffix.lower() == PARQUET else ()
        named |= dict.fromkeys((*own, *_PATHS), "image")
    return {**named, _TEXT: "text"} if "text" in kinds else named


def _check_named(path: Path, columns: Columns, there: Sequence[str]) -> None:
    """A column that the caller named must be there; one by its usual name may."""
    usual = Columns()
    for name, otherwise in ((columns.id, usual.id), (columns.label, usual.label), (columns.domain, usual.domain)):
        if name != otherwise and name not in there:
            raise BuildError(f"{path} has no column {name!r}; it has {', '.join(map(legible, there[:20]))}")
