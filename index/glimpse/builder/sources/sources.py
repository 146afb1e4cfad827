"""What a build is given, as a stream of entries: folders, patterns, tables, tars, texts and pictures."""

import logging
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Literal

from glimpse.builder.errors import BuildError
from glimpse.builder.sources.folder_source import Layout, file_entry, matches, read_folder
from glimpse.builder.sources.webdataset_source import TARS, read_tar
from glimpse.inputs import (
    TABLES,
    TEXTS,
    Columns,
    Entry,
    InputsError,
    Kind,
    Skipped,
    TableDamaged,
    Unreadable,
    legible,
    open_table,
    read_lines,
)
from glimpse.inputs.errors import FILE_UNREADABLE, TABLE_DAMAGED
from glimpse.inputs.formats import HEIF, PICTURES
from glimpse.inputs.lines import open_text

__all__ = ["Columns", "Layout", "read_inputs"]

logger = logging.getLogger(__name__)
_Form = Literal["folder", "table", "tar", "lines", "picture"]
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class _Input:
    """One thing to read: a path, what it is, and for a pattern's match the folder the pattern hangs on."""

    path: Path
    form: _Form
    given: str
    hangs_on: tuple[Path, Path] | None = None  # as given, and resolved

    @property
    def below(self) -> tuple[Path, Path] | None:
        """For a picture that a pattern matched: the folder its id begins with, as if that folder had been named."""
        return self.hangs_on if self.form == "picture" else None

    def begins(self, has_ids: bool) -> str | None:
        """How its ids begin; None where its rows say their own."""
        if self.form == "folder":
            return f"{self.path.resolve().name}/"
        if self.below:
            return f"{self.below[1].name}/"
        if self.form == "tar":
            return f"{self.path.name}/"
        if self.form == "picture":
            return self.path.name
        return None if has_ids else f"{self.path.name}:"


def read_inputs(
    inputs: Sequence[str],
    layout: Layout,
    columns: Columns,
    kinds: Collection[Kind],
    *,
    allow_outside: bool = False,
    skipped: Skipped | None = None,
) -> Iterator[Entry | Unreadable]:
    """Every input, in the order given and by name within a folder; memory does not grow with their number.

    Args:
        inputs: Paths and patterns.
        kinds: What the backbone reads.
        allow_outside: Whether tables may name files outside of their folders.
        skipped: Where files of folders that are not read are counted.

    Raises:
        BuildError: Before anything is read: a path that is not there, that is no input, or whose column is not
            there; two inputs whose ids would begin alike.
    """
    claims: dict[str, _Input] = {}
    for given in inputs:
        found = False
        for one in _named(given):
            found = True
            if isinstance(one, _Input):
                _check(one, claims, columns, kinds)
        if not found:
            raise BuildError(f"{given} matches nothing")
    how = _Reading(layout, columns, kinds, allow_outside, Skipped() if skipped is None else skipped)
    return (entry for given in inputs for one in _named(given) for entry in how.read(one))


def folders_of(inputs: Sequence[str]) -> Iterator[str]:
    """The names of the folders among inputs, and of those that patterns hang on: ids of their files begin so."""
    for given in inputs:
        folder, _ = _split(given)
        if folder.is_dir():
            yield folder.resolve().name


def _split(given: str) -> tuple[Path, Sequence[str]]:
    """A path; and, of a pattern, the parts that follow the folder it hangs on."""
    parts = Path(given).parts
    plain = os.path.exists(given) or not _MAGIC & set(given)
    fixed = parts if plain else tuple(takewhile(lambda part: not _MAGIC & set(part), parts))
    return Path(*fixed), parts[len(fixed) :]


def _named(given: str) -> Iterator[_Input | Unreadable]:
    """What a path, or a pattern, names. Raises BuildError."""
    folder, pattern = _split(given)
    if not pattern:
        yield _Input(folder, _form(folder), given)
        return
    if pattern.count("**") > 1:
        raise BuildError(f"{given} has more than one **", "one stands for any depth")
    if not folder.is_dir():
        raise BuildError(f"there is no folder {folder}, for {given}")
    hangs_on = (folder, folder.resolve())
    for one in matches(folder, pattern):
        yield one if isinstance(one, Unreadable) else _Input(one, _form(one), given, hangs_on)


def _form(path: Path) -> _Form:
    name = path.name.lower()
    if path.is_dir():
        return "folder"
    if not os.path.exists(path):
        step = "URLs are not fetched; download it first" if "://" in str(path) or ":/" in str(path) else ""
        raise BuildError(f"there is no file or folder {path}", step)
    if path.is_file():
        if name.endswith(TABLES):
            return "table"
        if name.endswith(TARS):
            return "tar"
        if path.suffix.lower() in TEXTS:
            return "lines"
        if path.suffix.lower() in PICTURES | HEIF:
            return "picture"
    step = "unpack it: zstd -d" if name.endswith(".tar.zst") else f"it may be {' '.join((*TABLES, *TARS, '.txt'))}"
    raise BuildError(f"{path} is neither a folder, a picture, a table, a tar nor a .txt file", step)


def _check(one: _Input, claims: dict[str, _Input], columns: Columns, kinds: Collection[Kind]) -> None:
    """What would make the whole impossible. Raises BuildError."""
    for form, kind, named in (("picture", "image", "a picture"), ("lines", "text", "text")):
        if one.form == form and kind not in kinds:
            raise BuildError(f"{one.path} is {named}, which the backbone cannot read")
    has_ids = False
    try:
        if one.form == "table":
            table = open_table(one.path, columns, kinds)
            has_ids = table.has_ids
            if table.warning:
                logger.warning("%s", table.warning)
        elif one.form == "lines":
            open_text(one.path).close()
    except InputsError as error:
        raise BuildError(error.message, error.next_step) from error
    except (OSError, TableDamaged):  # reported when its turn comes; the rest goes on
        has_ids = False
    begins = one.begins(has_ids)
    if begins is None:
        return
    other = claims.setdefault(begins, one)
    # Patterns may meet in one folder: there, what has the same id is the same file.
    same_folder = other.below and one.below and other.below[1] == one.below[1]
    if other is not one and not same_folder:
        raise BuildError(
            f"{other.path} and {one.path} would have the same ids: both begin with {begins!r}",
            "rename one, name the folder around them, or build two indexes and merge them",
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """How inputs are read; the arguments of `read_inputs`."""

    layout: Layout
    columns: Columns
    kinds: Collection[Kind]
    allow_outside: bool
    skipped: Skipped

    def read(self, one: _Input | Unreadable) -> Iterator[Entry | Unreadable]:
        if isinstance(one, Unreadable):
            yield one
        elif one.form == "folder":
            yield from read_folder(one.path, self.layout, self.kinds, self.skipped)
        elif one.form == "table":
            yield from self._table(one.path)
        elif one.form == "tar":
            yield from read_tar(one.path, self.columns, self.kinds)
        elif one.form == "lines":
            yield from read_lines(one.path)
        elif one.below:
            folder, resolved = one.below
            yield file_entry(folder, resolved.name, one.path.relative_to(folder).parts, self.layout, "image")
        else:
            yield Entry(legible(one.path.name), legible(str(one.path)), "image", None, None, one.path)

    def _table(self, path: Path) -> Iterator[Entry | Unreadable]:
        source = legible(str(path))
        try:
            table = open_table(path, self.columns, self.kinds, allow_outside=self.allow_outside)
        except OSError as error:
            yield Unreadable(source, None, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}")
        except TableDamaged as error:
            yield Unreadable(source, None, TABLE_DAMAGED, f"{source} is damaged: {error}")
        else:
            yield from table.read()
