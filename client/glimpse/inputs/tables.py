"""Reads tables whose rows are texts, pictures or paths of pictures."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from glimpse.inputs.entries import Entry, Kind, Unreadable
from glimpse.inputs.errors import FILE_UNREADABLE, ROW_MALFORMED, TABLE_DAMAGED, InputsError, Rejected
from glimpse.inputs.fields import domain_of, group_of, id_of, label_of, legible, text_of
from glimpse.inputs.formats import PARQUET, TABLES
from glimpse.inputs.parquet import TableDamaged
from glimpse.inputs.paths import TableFolder
from glimpse.inputs.rows import columns_of, rows

_PATHS, _BYTES, _TEXT = ("path", "image"), "bytes", "text"
_ROLES = ("id", "label", "domain", "group")
_MAX_NAMES = 20  # columns in a message


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns of a table, or of the keys in a tar's JSON.

    None stands for the default name, and such a column may be missing. A column that is named must exist.

    Attributes:
        id: Ids. Default: `id`.
        label: Labels. Default: `label`.
        domain: Domains. Default: `domain`.
        text: Texts. Default: `text`, if no column holds pictures.
        path: Files of pictures. Default: `path` or `image`; in Parquet `bytes` comes first.
        group: Groups. Default: `group`.
    """

    id: str | None = None
    label: str | None = None
    domain: str | None = None
    text: str | None = None
    path: str | None = None
    group: str | None = None

    def name(self, role: str) -> str:
        """Returns the column name for the role `id`, `label`, `domain` or `group`."""
        return getattr(self, role) or role


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose columns are known.

    Attributes:
        path: The file.
        columns: The requested names of the columns.
        kind: The kind of its inputs.
        column: The column with the inputs.
        names: All columns; empty for an empty table.
        allow_outside: Whether rows may name files outside of the folder.
        needs_ids: Whether every row needs an id. A table without ids gets ids such as `table.csv:17`.
        required: Those of `label` and `domain` that every row must have.
        folder: The folder of the files that rows name; None for the table's own folder.
    """

    path: Path
    columns: Columns
    kind: Kind
    column: str
    names: Sequence[str]
    allow_outside: bool = False
    needs_ids: bool = True
    required: Collection[str] = ()
    folder: Path | None = None

    @property
    def has_ids(self) -> bool:
        """True if the table has a column of ids."""
        return self.columns.name("id") in self.names

    @property
    def has_labels(self) -> bool:
        """True if the table has a column of labels."""
        return self.columns.name("label") in self.names

    @property
    def warning(self) -> str:
        """A warning about a column that looks like a misspelt column of labels; empty if there is none."""
        if self.has_labels or not self.names or not (near := _near(self.columns.name("label"), self.names)):
            return ""
        name = self.columns.name("label")
        return f"{legible(str(self.path))} has no column {name!r}; {_label_hint(near)}"

    def read(self) -> Iterator[Entry | Unreadable]:
        """Yields the rows in order. The source of a picture in a file is that file.

        A damaged table ends with an `Unreadable` for the table itself.
        """
        source = legible(str(self.path))
        folder = TableFolder(self.folder or self.path.parent, allow_outside=self.allow_outside)
        wanted = {self.column, *(self.columns.name(role) for role in _ROLES)}
        try:
            if self.names:
                for line, record in rows(self.path, wanted):
                    yield self._row(line, record, folder)
        except OSError as error:
            yield Unreadable(source, None, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}")
        except TableDamaged as error:
            yield Unreadable(source, None, TABLE_DAMAGED, f"{source} is damaged: {error}")
        except InputsError as error:
            yield Unreadable(source, None, TABLE_DAMAGED, error.message)

    def _row(self, line: int, record: Mapping[str, Any] | Rejected, folder: TableFolder) -> Entry | Unreadable:
        source = f"{legible(str(self.path))}:{line}"
        id_ = f"{legible(self.path.name)}:{line}" if self.needs_ids and not self.has_ids else None
        try:
            if isinstance(record, Rejected):
                raise record
            id_ = self._id(record) if id_ is None else id_
            content = self._content(record, folder)
            label, domain = self._label_and_domain(record)
            group = group_of(record.get(self.columns.name("group")))
        except Rejected as error:
            return Unreadable(source, id_, error.reason, str(error))
        source = legible(str(content)) if isinstance(content, Path) else source
        return Entry(id_, source, self.kind, label, domain, content, group)

    def _label_and_domain(self, record: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """Returns the row's label and domain. Raises Rejected if one is invalid, or required and missing."""
        label, domain = (record.get(self.columns.name(role)) for role in ("label", "domain"))
        values = (label_of(label), domain_of(domain))
        for role, value in zip(("label", "domain"), values, strict=True):
            if role in self.required and not value:
                raise Rejected(f"{role.upper()}_MISSING", f"{self.columns.name(role)!r} is empty")
        return values

    def _id(self, record: Mapping[str, Any]) -> str:
        name = self.columns.name("id")
        value = record.get(name)
        return id_of(value, name) if self.needs_ids or value not in (None, "") else ""

    def _content(self, record: Mapping[str, Any], folder: TableFolder) -> Path | bytes | str:
        value = record.get(self.column)
        if self.kind == "text":
            return text_of(value, self.column)
        if isinstance(value, dict):  # the format of pictures in the datasets library
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes) and value:
            return value
        if self.column == _BYTES and not self.columns.path:
            raise Rejected(ROW_MALFORMED, f"{_BYTES!r} is {'not bytes' if value else 'empty'}")
        return folder.file(text_of(value, self.column))


def open_table(
    path: Path,
    columns: Columns,
    kinds: Collection[Kind] = ("image", "text"),
    *,
    allow_outside: bool = False,
    needs_ids: bool = True,
    required: Collection[str] = (),
) -> Table:
    """Finds the columns of a table, and reads only as much as this needs.

    Args:
        path: The table.
        columns: The names of the columns.
        kinds: The kinds of inputs to read, for example those of a backbone.
        allow_outside: Whether rows may name files outside of the table's folder.
        needs_ids: Whether every row needs an id, as in an index.
        required: Those of `label` and `domain` that the table and each of its rows must have.

    Raises:
        InputsError: The file is not a table or in another encoding, has no column of inputs, or lacks a named or
            required column.
        OSError: The file cannot be opened.
        TableDamaged: The file is Parquet and cannot be read.
    """
    if not path.exists():
        raise InputsError(f"there is no file or folder {legible(str(path))}")
    if path.suffix.lower() not in TABLES:
        raise InputsError(f"{legible(str(path))} is not a table", f"tables end in {', '.join(TABLES)}")
    names = list(columns_of(path))
    candidates = _candidates(path, columns, kinds)
    column = next((name for name in candidates if name in names), None)
    if not names:
        return Table(path, columns, next(iter(kinds)), "", names, allow_outside, needs_ids, required)
    if column is None:
        wanted = " or ".join(map(repr, candidates)) or "that the backbone can read"
        step = "name the column of texts with --text-column, or the column of picture files with --path-column"
        raise InputsError(_missing(path, wanted, names), step)
    for role in _ROLES:
        name = columns.name(role)
        if name not in names and (getattr(columns, role) or role in required):
            raise InputsError(_missing(path, repr(name), names), _hint(role, columns, names))
    used = {column, *(columns.name(role) for role in _ROLES)}
    if duplicates := sorted(name for name in used if names.count(name) > 1):
        raise InputsError(f"{legible(str(path))} has two columns {duplicates[0]!r}", "rename one of them")
    return Table(path, columns, candidates[column], column, names, allow_outside, needs_ids, required)


def _candidates(path: Path, columns: Columns, kinds: Collection[Kind]) -> Mapping[str, Kind]:
    """Returns the columns that may hold inputs. The first that exists is used; pictures come before texts."""
    if columns.path is not None:
        return {columns.path: "image"} if "image" in kinds else {}
    if columns.text is not None:
        return {columns.text: "text"} if "text" in kinds else {}
    candidates: dict[str, Kind] = {}
    if "image" in kinds:
        # If Parquet contains the pictures themselves, its paths are only their former names.
        embedded = (_BYTES,) if path.suffix.lower() == PARQUET else ()
        candidates |= dict.fromkeys((*embedded, *_PATHS), "image")
    return {**candidates, _TEXT: "text"} if "text" in kinds else candidates


def _missing(path: Path, wanted: str, names: Sequence[str]) -> str:
    more = ", …" if names[_MAX_NAMES:] else ""
    return f"{legible(str(path))} has no column {wanted}; it has {', '.join(map(legible, names[:_MAX_NAMES]))}{more}"


def _hint(role: str, columns: Columns, names: Sequence[str]) -> str:
    """Returns what to do about a missing column."""
    near = _near(columns.name(role), names)
    if getattr(columns, role) or role != "label":
        return f"did you mean {near!r}?" if near else ""
    return _label_hint(near) if near else "name the column of labels with --label-column"


def _label_hint(near: str) -> str:
    return f"did you mean {near!r}? Then add --label-column {near}"


def _near(name: str, names: Sequence[str]) -> str | None:
    """Returns a column with a similar name: another case, a letter or two, a plural."""
    folded = {legible(column).casefold().strip("_ "): column for column in names if column.isprintable()}
    near = get_close_matches(name.casefold(), folded, 1, 0.75)
    return folded[near[0]] if near else None
