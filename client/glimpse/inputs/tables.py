"""Tables whose rows are texts, pictures or paths to pictures."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from glimpse.inputs.entries import Entry, Kind, Unreadable
from glimpse.inputs.errors import FILE_UNREADABLE, ROW_MALFORMED, TABLE_DAMAGED, InputsError, Rejected
from glimpse.inputs.fields import domain_of, id_of, label_of, legible, text_of
from glimpse.inputs.formats import PARQUET, TABLES
from glimpse.inputs.parquet import TableDamaged
from glimpse.inputs.paths import TableFolder
from glimpse.inputs.rows import columns_of, rows

_PATHS, _BYTES, _TEXT = ("path", "image"), "bytes", "text"
_SHOWN = 20  # columns in a message


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns of a table, and the keys of a tar's JSON, are called.

    None: the usual name, where there is such a column. A name that is given has to be there.

    Attributes:
        id: Usually `id`.
        label: Usually `label`.
        domain: Usually `domain`.
        text: Texts; usually `text`, where no column holds pictures.
        path: Files of pictures; usually `path` or `image`, before them `bytes` in Parquet.
    """

    id: str | None = None
    label: str | None = None
    domain: str | None = None
    text: str | None = None
    path: str | None = None

    def name(self, role: str) -> str:
        """The column of `id`, `label` or `domain`, given or usual."""
        return getattr(self, role) or role


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be read.

    Attributes:
        column: Holds the inputs, all of one kind.
        names: The columns there are; none: the table is empty.
        needs_ids: Whether every row is called something: its id, or `table.csv:17` where the table has no ids.
        required: Of `label` and `domain`, those without which a row cannot be used.
        folder: Where the files that it names lie; None: beside it.
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
        """Whether rows say what they are called."""
        return self.columns.name("id") in self.names

    @property
    def has_labels(self) -> bool:
        """Whether there is a column of labels."""
        return self.columns.name("label") in self.names

    @property
    def warning(self) -> str:
        """What looks like a slip, for people; empty where nothing does."""
        if self.has_labels or not self.names or not (near := _near(self.columns.name("label"), self.names)):
            return ""
        name = self.columns.name("label")
        return f"{legible(str(self.path))} has no column {name!r}; {_label_hint(near)}"

    def read(self) -> Iterator[Entry | Unreadable]:
        """The rows in order: each is an entry, or says why it is none. The source of a picture in a file is that file.

        Damage ends the table with an `Unreadable` of the table itself.
        """
        source, beside = (
            legible(str(self.path)),
            TableFolder(self.folder or self.path.parent, allow_outside=self.allow_outside),
        )
        wanted = {self.column, *(self.columns.name(role) for role in ("id", "label", "domain"))}
        try:
            if self.names:
                for line, record in rows(self.path, wanted):
                    yield self._row(line, record, beside)
        except OSError as error:
            yield Unreadable(source, None, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}")
        except TableDamaged as error:
            yield Unreadable(source, None, TABLE_DAMAGED, f"{source} is damaged: {error}")
        except InputsError as error:
            yield Unreadable(source, None, TABLE_DAMAGED, error.message)

    def _row(self, line: int, record: Mapping[str, Any] | Rejected, beside: TableFolder) -> Entry | Unreadable:
        source = f"{legible(str(self.path))}:{line}"
        id_ = f"{legible(self.path.name)}:{line}" if self.needs_ids and not self.has_ids else None
        try:
            if isinstance(record, Rejected):
                raise record
            id_ = self._id(record) if id_ is None else id_
            content = self._content(record, beside)
            named = self._named(record)
        except Rejected as error:
            return Unreadable(source, id_, error.reason, str(error))
        return Entry(id_, legible(str(content)) if isinstance(content, Path) else source, self.kind, *named, content)

    def _named(self, record: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """The row's label and domain. Raises Rejected."""
        label, domain = (record.get(self.columns.name(role)) for role in ("label", "domain"))
        named = (label_of(label), domain_of(domain))
        for role, value in zip(("label", "domain"), named, strict=True):
            if role in self.required and not value:
                raise Rejected(f"{role.upper()}_MISSING", f"{self.columns.name(role)!r} is empty")
        return named

    def _id(self, record: Mapping[str, Any]) -> str:
        name = self.columns.name("id")
        value = record.get(name)
        return id_of(value, name) if self.needs_ids or value not in (None, "") else ""

    def _content(self, record: Mapping[str, Any], beside: TableFolder) -> Path | bytes | str:
        value = record.get(self.column)
        if self.kind == "text":
            return text_of(value, self.column)
        if isinstance(value, dict):  # as the datasets library writes pictures
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes) and value:
            return value
        if self.column == _BYTES and not self.columns.path:
            raise Rejected(ROW_MALFORMED, f"{_BYTES!r} is {'no bytes' if value else 'empty'}")
        return beside.file(text_of(value, self.column))


def open_table(
    path: Path,
    columns: Columns,
    kinds: Collection[Kind] = ("image", "text"),
    *,
    allow_outside: bool = False,
    needs_ids: bool = True,
    required: Collection[str] = (),
) -> Table:
    """Finds out which columns count, and reads no more than that takes.

    Args:
        kinds: What the backbone reads.
        allow_outside: Whether rows may name files outside of the table's folder.
        needs_ids: Whether every row has to be called something, as in an index.
        required: Of `label` and `domain`, those that the table, and every row of it, has to have.

    Raises:
        InputsError: It is no table or in another encoding; it has no column of inputs, or lacks one that was given.
        OSError: It cannot be opened.
        TableDamaged: It is Parquet that cannot be read.
    """
    if not path.exists():
        raise InputsError(f"there is no file or folder {legible(str(path))}")
    if path.suffix.lower() not in TABLES:
        raise InputsError(f"{legible(str(path))} is no table", f"its name may end in {', '.join(TABLES)}")
    names = list(columns_of(path))
    candidates = _candidates(path, columns, kinds)
    column = next((name for name in candidates if name in names), None)
    if not names:
        return Table(path, columns, next(iter(kinds)), "", names, allow_outside, needs_ids, required)
    if column is None:
        wanted = " or ".join(map(repr, candidates)) or "that the backbone could read"
        step = "name the one of texts with --text-column, or the one of pictures' files with --path-column"
        raise InputsError(_lacking(path, wanted, names), step)
    for role in ("id", "label", "domain"):
        name = columns.name(role)
        if name not in names and (getattr(columns, role) or role in required):
            raise InputsError(_lacking(path, repr(name), names), _hint(role, columns, names))
    used = {column, *(columns.name(role) for role in ("id", "label", "domain"))}
    if twice := sorted(name for name in used if names.count(name) > 1):
        raise InputsError(f"{legible(str(path))} has two columns {twice[0]!r}", "rename one")
    return Table(path, columns, candidates[column], column, names, allow_outside, needs_ids, required)


def _candidates(path: Path, columns: Columns, kinds: Collection[Kind]) -> Mapping[str, Kind]:
    """The columns that may hold inputs; the first one there counts: pictures before what is said of them."""
    if columns.path is not None:
        return {columns.path: "image"} if "image" in kinds else {}
    if columns.text is not None:
        return {columns.text: "text"} if "text" in kinds else {}
    named: dict[str, Kind] = {}
    if "image" in kinds:
        # A file that holds its pictures needs no others; their paths are then only what they were called.
        own = (_BYTES,) if path.suffix.lower() == PARQUET else ()
        named |= dict.fromkeys((*own, *_PATHS), "image")
    return {**named, _TEXT: "text"} if "text" in kinds else named


def _lacking(path: Path, wanted: str, names: Sequence[str]) -> str:
    more = ", …" if names[_SHOWN:] else ""
    return f"{legible(str(path))} has no column {wanted}; it has {', '.join(map(legible, names[:_SHOWN]))}{more}"


def _hint(role: str, columns: Columns, names: Sequence[str]) -> str:
    """What to do about a column that is not there."""
    near = _near(columns.name(role), names)
    if getattr(columns, role) or role != "label":
        return f"is {near!r} meant?" if near else ""
    return _label_hint(near) if near else "name the one of labels with --label-column"


def _label_hint(near: str) -> str:
    return f"if {near!r} is meant: --label-column {near}"


def _near(name: str, names: Sequence[str]) -> str | None:
    """A column whose name differs from one by a slip: in case, a letter or two, a plural."""
    folded = {legible(one).casefold().strip("_ "): one for one in names if one.isprintable()}
    near = get_close_matches(name.casefold(), folded, 1, 0.75)
    return folded[near[0]] if near else None
