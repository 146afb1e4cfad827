"""The inputs that a command is given: files, folders, tables, lines of text, standard input."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from grpc import StatusCode

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import print_note
from glimpse.cli.common.progress import notice_if_slow
from glimpse.cli.common.standard_input import read_standard_input
from glimpse.client import Input, ItemError, Text, Timings
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
    label_of,
    legible,
    open_table,
    read_folder,
    read_labelled,
    read_lines,
    text_of,
)

_STANDARD_INPUT = "-"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """One input: what to call it, its content, and the label that its row or folder gives it, or the command.

    `failure`: why it cannot be sent. It keeps its place among the others all the same.
    """

    name: str
    content: Path | bytes | str
    label: str = ""
    failure: Unreadable | None = None

    def as_input(self) -> Input:
        """As the client takes it."""
        return Input(Text(self.content) if isinstance(self.content, str) else self.content)


@dataclass(frozen=True, slots=True)
class Reading:
    """How tables are read: what their columns are called, and whether they may name files elsewhere."""

    columns: Columns = field(default_factory=Columns)
    allow_outside: bool = False


class Sources:
    """Inputs in order. They are read again each time, so that many need no memory: once to count and check them."""

    def __init__(self, read: Callable[[], Iterator[Source]], count: int) -> None:
        self._read, self._count = read, count

    def __iter__(self) -> Iterator[Source]:
        return self._read()

    def __len__(self) -> int:
        return self._count


def read_sources(paths: Iterable[Path] | None, texts: Iterable[str] | None, reading: Reading | None = None) -> Sources:
    """Every input named on the command line, in order; folders with their subfolders.

    Raises:
        CliError: There is none, or a table cannot be read as it was asked for.
    """
    return _counted(_Reader(list(paths or ()), list(texts or ()), reading or Reading()))


def read_labelled_sources(
    paths: Iterable[Path] | None, texts: Iterable[str] | None, label: str, reading: Reading | None = None
) -> Sources:
    """As read_sources, each with a label: its row's own, `label`, or its folder's name.

    Raises:
        CliError: As read_sources; `label` is none, or an input has none.
    """
    try:
        wanted = label_of(label) or ""
    except Rejected as error:
        raise CliError(f"--label: {error}") from error
    reader = _Reader(list(paths or ()), list(texts or ()), reading or Reading(), labelled=True, label=wanted)
    return _counted(reader)


def answered(batch: Sequence[Source], ask: Callable[[list[Input]], Sequence[T]], result: Callable[..., T]) -> list[T]:
    """The server's results of the inputs that can be sent; in the place of each other one, a result that failed."""
    inputs = [source.as_input() for source in batch if not source.failure]
    results = iter(ask(inputs) if inputs else ())
    return [failed(result, source.failure) if source.failure else next(results) for source in batch]


def failed(result: Callable[..., T], failure: Unreadable) -> T:
    """A result of the client for an input that was not sent."""
    error = ItemError(StatusCode.INVALID_ARGUMENT, failure.reason, "", failure.message)
    return result(id="", error=error, truncated=False, timings=Timings())


def _counted(reader: "_Reader") -> Sources:
    """The inputs, after they were gone through once; says on stderr what was left out of folders."""
    count = failures = lacking = 0
    failure, first = "", ""
    with notice_if_slow("reading the inputs"):
        for source in reader.read():
            count += 1
            if source.failure:
                failures += 1
                failure = failure or f"{source.name}: {source.failure.message}"
            elif reader.labelled and not source.label:
                lacking += 1
                first = first or source.name
    for line in reader.notes():
        print_note(line)
    if not count:
        step = f"name pictures, folders, .txt files or tables ({' '.join(TABLES)}), or give --text"
        raise CliError("there is nothing to read", step)
    if failures == count:
        raise CliError(failure if count == 1 else f"none of the {count:,} inputs can be read; {failure}")
    if lacking:
        message = f"{first} has no label" + (f", nor have {lacking - 1} others" if lacking > 1 else "")
        raise CliError(message, "give one with --label, or put the files into a folder with a subfolder a label")
    return Sources(reader.read, count)


class _Reader:
    """Reads what was named, as often as it is asked to."""

    def __init__(
        self, paths: list[Path], texts: list[str], reading: Reading, *, labelled: bool = False, label: str = ""
    ) -> None:
        self._paths, self._texts, self._reading = paths, texts, reading
        self.labelled, self._label = labelled, label
        self._skipped: dict[Path, Skipped] = {}
        self._warnings: dict[str, None] = {}
        if sum(str(path) == _STANDARD_INPUT for path in paths) > 1:
            raise CliError("- stands for standard input, which can be read once")
        self._standard_input: Sequence[Entry | Unreadable] = ()
        if Path(_STANDARD_INPUT) in paths:
            self._standard_input = read_standard_input(sys.stdin.buffer, reading.columns, reading.allow_outside)

    def read(self) -> Iterator[Source]:
        """The inputs in order. Raises CliError."""
        try:
            for path in self._paths:
                # Elsewhere ids are the places in an index.
                has_ids = str(path) == _STANDARD_INPUT or path.suffix.lower() in TABLES
                for one in self._of_path(path):
                    yield self._source(one, (has_ids and one.id) or one.source)
        except InputsError as error:
            raise CliError(error.message, error.next_step) from error
        for text in self._texts:
            yield self._of_text(text)

    def notes(self) -> Iterator[str]:
        """What was left out of folders, and what looks like a slip."""
        for folder, skipped in self._skipped.items():
            if str(skipped):
                yield f"left out in {legible(str(folder))}: {skipped}"
        yield from self._warnings

    def _source(self, one: Entry | Unreadable, name: str) -> Source:
        if isinstance(one, Unreadable):
            return Source(name, name, self._label, one)
        return Source(name, one.content, one.label or self._label)

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
        elif suffix in (*TEXTS, *TABLES) and not path.is_file():  # a pipe, which can be read once
            yield Unreadable(name, None, "FILE_UNREADABLE", "no regular file; send it to standard input, and name -")
        elif suffix in TEXTS:
            yield from read_lines(path)
        elif suffix in TABLES:
            yield from self._of_table(path, name)
        else:
            yield Entry("", name, "image", None, None, path)

    def _of_folder(self, folder: Path, name: str) -> Iterator[Entry | Unreadable]:
        skipped, kind = Skipped(), kind_of(folder)
        by_folder = self.labelled and not self._label
        entries = read_labelled(folder, kind, skipped) if by_folder else read_folder(folder, kind, skipped)
        is_empty = True
        for one in entries:
            is_empty = False
            yield one
        if is_empty:
            left_out = f" ({skipped})" if str(skipped) else ""
            yield Unreadable(name, None, "FOLDER_EMPTY", f"no picture and no .txt file in it{left_out}")
        else:
            self._skipped[folder] = skipped

    def _of_table(self, path: Path, name: str) -> Iterator[Entry | Unreadable]:
        reading = self._reading
        try:
            table = open_table(path, reading.columns, allow_outside=reading.allow_outside, needs_ids=False)
        except (OSError, TableDamaged) as error:
            why = getattr(error, "strerror", None) or error
            yield Unreadable(name, None, "TABLE_DAMAGED", f"{name} cannot be read: {why}")
            return
        if self.labelled and table.warning:
            self._warnings[table.warning] = None
        if self.labelled and table.has_labels and not self._label:
            table = replace(table, required=("label",))
        yield from table.read()
