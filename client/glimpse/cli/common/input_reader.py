"""Reads the inputs named on the command line, any number of times."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.standard_input import read_standard_input
from glimpse.client import Input, Text
from glimpse.inputs import (
    TABLES,
    TEXTS,
    Columns,
    Entry,
    InputsError,
    Rejected,
    Skipped,
    TableDamaged,
    Unreadable,
    kind_of,
    legible,
    open_table,
    read_folder,
    read_labelled,
    read_lines,
    text_of,
)

_STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Source:
    """One input.

    Attributes:
        name: What output calls the input: its path, `table.csv:17`, or the text itself.
        content: A file that is not read yet, the bytes of a picture, or a text.
        label: The label from its row, from its folder, or from the option `--label`; empty if it has none.
        failure: Why it cannot be sent; None if it can. It keeps its place among the results.
        group: The group from its row or folder; empty if it has none.
    """

    name: str
    content: Path | bytes | str
    label: str = ""
    failure: Unreadable | None = None
    group: str = ""

    def as_input(self) -> Input:
        """Returns the input as the client takes it."""
        return Input(Text(self.content) if isinstance(self.content, str) else self.content)


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Options for reading tables and folders.

    Attributes:
        columns: The names of the columns.
        allow_outside: Whether a table may name files outside of its folder.
        group_depth: The level of a folder's subfolders whose files are one group; 0: no groups.
    """

    columns: Columns = field(default_factory=Columns)
    allow_outside: bool = False
    group_depth: int = 0


class InputReader:
    """Reads the named inputs, any number of times.

    Attributes:
        labelled: Whether every input needs a label.
    """

    def __init__(
        self, paths: list[Path], texts: list[str], options: TableOptions, *, labelled: bool = False, label: str = ""
    ) -> None:
        self._paths, self._texts, self._options = paths, texts, options
        self.labelled, self._label = labelled, label
        self._skipped: dict[Path, Skipped] = {}
        self._warnings: dict[str, None] = {}
        if sum(str(path) == _STANDARD_INPUT for path in paths) > 1:
            raise CliError("- stands for standard input, which can be read only once", "name it once")
        self._standard_input: Sequence[Entry | Unreadable] = ()
        if Path(_STANDARD_INPUT) in paths:
            self._standard_input = read_standard_input(sys.stdin.buffer, options.columns, options.allow_outside)

    def read(self) -> Iterator[Source]:
        """Yields the inputs in order. Raises CliError if a folder or table cannot be read at all."""
        try:
            for path in self._paths:
                # Only tables have ids of their own. Other ids are made for indexes, and say less than the path.
                has_ids = str(path) == _STANDARD_INPUT or path.suffix.lower() in TABLES
                for entry in self._of_path(path):
                    yield self._source(entry, (has_ids and entry.id) or entry.source)
        except InputsError as error:
            raise CliError(error.message, error.next_step) from error
        for text in self._texts:
            yield self._of_text(text)

    def notes(self) -> Iterator[str]:
        """Yields a line for each folder with files that are not read, and warnings about tables."""
        for folder, skipped in self._skipped.items():
            if str(skipped):
                yield f"left out in {legible(str(folder))}: {skipped}"
        yield from self._warnings

    def _source(self, entry: Entry | Unreadable, name: str) -> Source:
        if isinstance(entry, Unreadable):
            return Source(name, name, self._label, entry)
        return Source(name, entry.content, entry.label or self._label, group=entry.group or "")

    def _of_text(self, text: str) -> Source:
        name = legible(text)
        try:
            return Source(name, text_of(text, "--text"), self._label)
        except Rejected as error:
            return Source(name, name, self._label, Unreadable(name, None, error.reason, str(error)))

    def _of_path(self, path: Path) -> Iterator[Entry | Unreadable]:
        name, suffix = legible(str(path)), path.suffix.lower()
        if str(path) == _STANDARD_INPUT:
            yield from self._standard_input
        elif path.is_dir():
            yield from self._of_folder(path, name)
        elif not path.exists():
            yield Unreadable(name, None, "FILE_UNREADABLE", "no such file or folder")
        elif suffix in (*TEXTS, *TABLES) and not path.is_file():  # a pipe can be read only once
            message = "not a regular file; send it to standard input, and name -"
            yield Unreadable(name, None, "FILE_UNREADABLE", message)
        elif suffix in TEXTS:
            yield from read_lines(path)
        elif suffix in TABLES:
            yield from self._of_table(path, name)
        else:
            yield Entry("", name, "image", None, None, path)

    def _of_folder(self, folder: Path, name: str) -> Iterator[Entry | Unreadable]:
        skipped, kind = Skipped(), kind_of(folder)
        by_folder = self.labelled and not self._label
        depth = self._options.group_depth
        read = read_labelled if by_folder else read_folder
        entries = read(folder, kind, skipped, group_depth=depth)
        is_empty = True
        for entry in entries:
            is_empty = False
            yield entry
        if is_empty:
            left_out = f" ({skipped})" if str(skipped) else ""
            yield Unreadable(name, None, "FOLDER_EMPTY", f"no picture and no .txt file in this folder{left_out}")
        else:
            self._skipped[folder] = skipped

    def _of_table(self, path: Path, name: str) -> Iterator[Entry | Unreadable]:
        options = self._options
        try:
            table = open_table(path, options.columns, allow_outside=options.allow_outside, needs_ids=False)
        except (OSError, TableDamaged) as error:
            reason = getattr(error, "strerror", None) or error
            yield Unreadable(name, None, "TABLE_DAMAGED", f"{name} cannot be read: {reason}")
            return
        if self.labelled and table.warning:
            self._warnings[table.warning] = None
        if self.labelled and table.has_labels and not self._label:
            table = replace(table, required=("label",))
        yield from table.read()
