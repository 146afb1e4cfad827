"""Reads the inputs of a build as a stream of entries: folders, patterns, tables, tars, texts and pictures."""

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
    """One path to read.

    Attributes:
        path: the path.
        form: what it is.
        given: the argument that named it.
        hangs_on: for a match of a pattern, the folder before the pattern, as given and resolved.
    """

    path: Path
    form: _Form
    given: str
    hangs_on: tuple[Path, Path] | None = None

    @property
    def below(self) -> tuple[Path, Path] | None:
        """The folder that the id of a picture matched by a pattern starts with, as if that folder had been given."""
        return self.hangs_on if self.form == "picture" else None

    def begins(self, has_ids: bool) -> str | None:
        """Returns the start of its ids; None if its rows have their own ids."""
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
    """Yields every input, in the given order and by name within a folder; memory does not depend on their number.

    Args:
        inputs: paths and patterns.
        layout: the meaning of subfolders.
        columns: names of the columns of tables.
        kinds: what the backbone reads.
        allow_outside: whether tables may name files outside of their folders.
        skipped: counts files of folders that are not read.

    Raises:
        BuildError: before anything is read: a path is missing or of an unknown form, a column is missing, or the ids of
            two inputs would start alike.
    """
    claims: dict[str, _Input] = {}
    for given in inputs:
        matched = False
        for source in _named(given):
            matched = True
            if isinstance(source, _Input):
                _check(source, claims, columns, kinds)
        if not matched:
            raise BuildError(f"{given} matches nothing")
    reading = _Reading(layout, columns, kinds, allow_outside, Skipped() if skipped is None else skipped)
    return (entry for given in inputs for source in _named(given) for entry in reading.read(source))


def folders_of(inputs: Sequence[str]) -> Iterator[str]:
    """Yields the names of folders among inputs and before patterns: ids of their files start with them."""
    for given in inputs:
        folder, _ = _split(given)
        if folder.is_dir():
            yield folder.resolve().name


def _split(given: str) -> tuple[Path, Sequence[str]]:
    """Returns a path; and for a pattern, the folder before it and the pattern's parts."""
    parts = Path(given).parts
    plain = os.path.exists(given) or not _MAGIC & set(given)
    fixed = parts if plain else tuple(takewhile(lambda part: not _MAGIC & set(part), parts))
    return Path(*fixed), parts[len(fixed) :]


def _named(given: str) -> Iterator[_Input | Unreadable]:
    """Yields what a path or a pattern names. Raises BuildError."""
    folder, pattern = _split(given)
    if not pattern:
        yield _Input(folder, _form(folder), given)
        return
    if pattern.count("**") > 1:
        raise BuildError(f"{given} has more than one **", "a single ** stands for any depth")
    if not folder.is_dir():
        raise BuildError(f"there is no folder {folder}, for {given}")
    hangs_on = (folder, folder.resolve())
    for source in matches(folder, pattern):
        yield source if isinstance(source, Unreadable) else _Input(source, _form(source), given, hangs_on)


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
    raise BuildError(f"{path} is not a folder, picture, table, tar or .txt file", step)


def _check(source: _Input, claims: dict[str, _Input], columns: Columns, kinds: Collection[Kind]) -> None:
    """Checks one input before the build starts. Raises BuildError."""
    for form, kind, named in (("picture", "image", "a picture"), ("lines", "text", "text")):
        if source.form == form and kind not in kinds:
            raise BuildError(f"{source.path} is {named}, which the backbone cannot read")
    has_ids = False
    try:
        if source.form == "table":
            table = open_table(source.path, columns, kinds)
            has_ids = table.has_ids
            if table.warning:
                logger.warning("%s", table.warning)
        elif source.form == "lines":
            open_text(source.path).close()
    except InputsError as error:
        raise BuildError(error.message, error.next_step) from error
    except (OSError, TableDamaged):  # reported when it is read; the build continues
        has_ids = False
    begins = source.begins(has_ids)
    if begins is None:
        return
    other = claims.setdefault(begins, source)
    # Patterns may match in the same folder; there, equal ids mean the same file.
    same_folder = other.below and source.below and other.below[1] == source.below[1]
    if other is not source and not same_folder:
        raise BuildError(
            f"{other.path} and {source.path} would have the same ids: both begin with {begins!r}",
            "rename one, give the folder around them, or build two indexes and merge them",
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads inputs with the settings of `read_inputs`."""

    layout: Layout
    columns: Columns
    kinds: Collection[Kind]
    allow_outside: bool
    skipped: Skipped

    def read(self, source: _Input | Unreadable) -> Iterator[Entry | Unreadable]:
        if isinstance(source, Unreadable):
            yield source
        elif source.form == "folder":
            yield from read_folder(source.path, self.layout, self.kinds, self.skipped)
        elif source.form == "table":
            yield from self._table(source.path)
        elif source.form == "tar":
            yield from read_tar(source.path, self.columns, self.kinds)
        elif source.form == "lines":
            yield from read_lines(source.path)
        elif source.below:
            folder, resolved = source.below
            yield file_entry(folder, resolved.name, source.path.relative_to(folder).parts, self.layout, "image")
        else:
            yield Entry(legible(source.path.name), legible(str(source.path)), "image", None, None, source.path)

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
