"""The inputs of `glimpse test`: labelled ones of a folder or table, and ones that belong to no label."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.inputs import Source
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
class Data:
    """Inputs that are read again each time, so that many need no memory, and what was left out of their folder.

    Attributes:
        read: Yields them in order, and notes what it leaves out.
        count: How many there are.
    """

    read: Callable[[Skipped], Inputs]
    skipped: Skipped = field(default_factory=Skipped)
    count: int = 0

    def counted(self, source: Path) -> "Data":
        """Counts the inputs. Raises CliError where there is none, or the source cannot be read."""
        try:
            self.count = sum(1 for _ in self.read(self.skipped))
        except (InputsError, TableDamaged, OSError) as error:
            raise _refused(source, error) from error
        if not self.count:
            raise CliError(f"there is no input in {legible(str(source))}", str(self.skipped))
        return self


def labelled_data(source: Path, columns: Columns, allow_outside: bool, unknown: Path | None) -> Data:
    """The inputs of a folder with a subfolder a label, or of a table with a column of labels.

    Args:
        unknown: Inputs below this folder belong to no label, and are left out.

    Raises:
        CliError: There is none, or it has no labels.
    """
    if source.is_dir():
        return _labelled_folder(source, unknown).counted(source)
    try:
        table = open_table(source, columns, allow_outside=allow_outside, required=("label",))
    except (InputsError, TableDamaged, OSError) as error:
        raise _refused(source, error) from error
    return Data(lambda _: table.read()).counted(source)


def unknown_data(source: Path, columns: Columns, allow_outside: bool) -> Data:
    """Every input of a folder, or of a table, whatever its label. Raises CliError."""
    if source.is_dir():
        kind = kind_of(source)
        return Data(lambda skipped: read_folder(source, kind, skipped)).counted(source)
    try:
        table = open_table(source, Columns(text=columns.text, path=columns.path), allow_outside=allow_outside)
    except (InputsError, TableDamaged, OSError) as error:
        raise _refused(source, error) from error
    return Data(lambda _: table.read()).counted(source)


def as_input(entry: Entry) -> Input:
    """An entry as the client takes it."""
    if isinstance(entry.content, bytes):
        return Input(entry.content)
    return Source(entry.source, entry.content).as_input()


def content_digest(entry: Entry) -> str | None:
    """The digest of an input's bytes as the server keeps it; None where its file cannot be read."""
    content = entry.content
    if not isinstance(content, Path):
        return f"sha256:{hashlib.sha256(content if isinstance(content, bytes) else content.encode()).hexdigest()}"
    try:
        with content.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError:
        return None  # the client says why when it is to be sent


def _labelled_folder(source: Path, unknown: Path | None) -> Data:
    if not subfolders(source):
        message = f"the folder {legible(str(source))} has no subfolders to take labels from"
        raise CliError(message, "test reads LABEL/file, or a table with a column of labels")
    kind = kind_of(source)
    without = unknown.resolve() if unknown and unknown.is_dir() else None

    def read(skipped: Skipped) -> Inputs:
        for entry in read_labelled(source, kind, skipped):
            file = Path(entry.content) if isinstance(entry, Entry) and isinstance(entry.content, Path) else None
            if not (without and file and file.parent.resolve().is_relative_to(without)):
                yield entry

    return Data(read)


def _refused(source: Path, error: Exception) -> CliError:
    if isinstance(error, InputsError):
        return CliError(error.message, error.next_step)
    why = getattr(error, "strerror", None) or str(error)
    return CliError(f"{legible(str(source))} cannot be read: {why}")
