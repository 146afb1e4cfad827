"""Inputs of `glimpse test`: labelled ones from a folder or table, and ones out of distribution."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.input_reader import Source
from glimpse.client import Input
from glimpse.inputs import (
    Columns,
    Entry,
    InputsError,
    Skipped,
    TableDamaged,
    Unreadable,
    kind_of,
    legible,
    open_table,
    read_folder,
    read_labelled,
    subfolders,
)

Inputs = Iterator[Entry | Unreadable]


@dataclass(slots=True)
class InputSet:
    """Inputs that are read again for each iteration, so that memory does not grow with their number.

    Attributes:
        read: Yields the inputs in order. Counts in its argument the files that it skips.
        skipped: Files that were skipped when the inputs were counted.
        count: The number of inputs.
    """

    read: Callable[[Skipped], Inputs]
    skipped: Skipped = field(default_factory=Skipped)
    count: int = 0

    def counted(self, source: Path) -> "InputSet":
        """Counts the inputs and returns the set. Raises CliError if there is none, or the source cannot be read."""
        try:
            self.count = sum(1 for _ in self.read(self.skipped))
        except (InputsError, TableDamaged, OSError) as error:
            raise _unreadable(source, error) from error
        if not self.count:
            raise CliError(f"there is no input in {legible(str(source))}", str(self.skipped))
        return self


def labelled_inputs(
    source: Path, columns: Columns, allow_outside: bool, unknown: Path | None, group_depth: int = 0
) -> InputSet:
    """Returns the inputs of a folder with one subfolder per label, or of a table with a column of labels.

    Args:
        source: The folder or table.
        columns: The names of the table's columns.
        allow_outside: Whether the table may name files outside of its folder.
        unknown: A folder whose inputs are out of distribution, and are left out here.
        group_depth: The level of a folder's subfolders whose files are one group; 0: no groups.

    Raises:
        CliError: There is no input, or the source has no labels.
    """
    if source.is_dir():
        return _labelled_folder(source, unknown, group_depth).counted(source)
    try:
        table = open_table(source, columns, allow_outside=allow_outside, required=("label",))
    except (InputsError, TableDamaged, OSError) as error:
        raise _unreadable(source, error) from error
    return InputSet(lambda _: table.read()).counted(source)


def unknown_inputs(source: Path, columns: Columns, allow_outside: bool) -> InputSet:
    """Returns every input of a folder or table, and ignores labels. Raises CliError if there is no input."""
    if source.is_dir():
        kind = kind_of(source)
        return InputSet(lambda skipped: read_folder(source, kind, skipped)).counted(source)
    try:
        table = open_table(source, Columns(text=columns.text, path=columns.path), allow_outside=allow_outside)
    except (InputsError, TableDamaged, OSError) as error:
        raise _unreadable(source, error) from error
    return InputSet(lambda _: table.read()).counted(source)


def as_input(entry: Entry) -> Input:
    """Returns an entry as the client takes it."""
    if isinstance(entry.content, bytes):
        return Input(entry.content)
    return Source(entry.source, entry.content).as_input()


def content_digest(entry: Entry) -> str | None:
    """Returns the digest of an input's bytes as the server keeps it; None if its file cannot be read."""
    content = entry.content
    if not isinstance(content, Path):
        return f"sha256:{hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()}"
    try:
        with content.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return None  # the client reports the reason when the input is sent


def _labelled_folder(source: Path, unknown: Path | None, group_depth: int) -> InputSet:
    if not subfolders(source):
        message = f"the folder {legible(str(source))} has no subfolders to take labels from"
        raise CliError(message, "glimpse test reads LABEL/file, or a table with a column of labels")
    kind = kind_of(source)
    excluded = unknown.resolve() if unknown and unknown.is_dir() else None

    def read(skipped: Skipped) -> Inputs:
        for entry in read_labelled(source, kind, skipped, group_depth=group_depth):
            file = Path(entry.content) if isinstance(entry, Entry) and isinstance(entry.content, Path) else None
            if not (excluded and file and file.parent.resolve().is_relative_to(excluded)):
                yield entry

    return InputSet(read)


def _unreadable(source: Path, error: Exception) -> CliError:
    if isinstance(error, InputsError):
        return CliError(error.message, error.next_step)
    reason = getattr(error, "strerror", None) or str(error)
    return CliError(f"{legible(str(source))} cannot be read: {reason}")
