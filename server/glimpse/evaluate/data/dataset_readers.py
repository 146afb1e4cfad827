"""Reads datasets from folders and tables, with the readers that every command uses."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from sys import intern

from glimpse.evaluate.data.dataset import Dataset
from glimpse.evaluate.errors import EvaluationError
from glimpse.inputs import (
    Columns,
    Entry,
    InputsError,
    Kind,
    Skipped,
    Table,
    TableDamaged,
    Unreadable,
    kind_of,
    open_table,
    read_folder,
    read_labelled,
)

_NAMED = 5  # the most unusable inputs to name
_USUAL = Columns()


def read_dataset(
    source: Path,
    columns: Columns,
    *,
    with_domains: bool = False,
    without: Path | None = None,
    allow_outside: bool = False,
    group_depth: int = 0,
) -> tuple[Dataset, list[str]]:
    """Reads a folder (LABEL/file; with domains DOMAIN/LABEL/file) or a table.

    Args:
        source: the folder or table.
        columns: the columns of a table.
        with_domains: whether inputs have domains.
        without: a folder whose files have no label, wherever it lies.
        allow_outside: whether a table may name files outside its folder.
        group_depth: the level of a folder's subfolders whose files are one group; 0: no groups.

    Returns:
        The dataset, and notes for people.

    Raises:
        EvaluationError: there is nothing to evaluate.
    """
    try:
        if not source.is_dir():
            required = ("label", "domain") if with_domains else ("label",)
            table = open_table(source, columns, allow_outside=allow_outside, needs_ids=False, required=required)
            return _of_table(table, with_domains)
        if columns != _USUAL:
            raise EvaluationError(f"{source} is a folder and has no columns", "its subfolders are the labels")
        return _of_folder(source, with_domains, without if without and without.is_dir() else None, group_depth)
    except (InputsError, TableDamaged, OSError) as error:
        raise _translated(source, error) from error


def read_unknown_inputs(
    source: Path, columns: Columns, kind: Kind, *, allow_outside: bool = False
) -> tuple[Dataset, list[str]]:
    """Inputs of no label: every picture, or text file, of a folder, or a table's column; and notes for people.

    Raises:
        EvaluationError: There is none, or none of this kind.
    """
    skipped = Skipped()
    try:
        if source.is_dir():
            found_kind = kind_of(source)
            entries, notes = _sorted_out(source, read_folder(source, found_kind, skipped))
        else:
            table = _unknown_table(source, columns, allow_outside)
            _check_files(table)
            found_kind = table.kind
            entries, notes = _sorted_out(source, table.read())
    except (InputsError, TableDamaged, OSError) as error:
        raise _translated(source, error) from error
    notes += _left_out(source, skipped)
    if entries and found_kind != kind:
        raise EvaluationError(f"{source} holds {found_kind}s, but the data are {kind}s", "both must be of one kind")
    if not entries:
        raise EvaluationError("; ".join((f"{source} holds no {kind}", *notes)))
    return Dataset.of(source, kind, list(map(_content, entries)), ["unknown"] * len(entries)), notes


def _of_folder(source: Path, with_domains: bool, without: Path | None, group_depth: int) -> tuple[Dataset, list[str]]:
    kind, skipped = kind_of(source), Skipped()
    entries_read = read_labelled(source, kind, skipped, with_domains=with_domains, group_depth=group_depth)
    found, notes = _sorted_out(source, entries_read)
    entries = [one for one in found if without is None or not _within(one, without)]
    left_out = len(found) - len(entries)
    if left_out:
        notes.append(f"{without} lies in the data: its {left_out} inputs are used as unknown inputs, without a label")
    notes += _left_out(source, skipped)
    if not entries:
        beside = f" beside {without}" if left_out else ""
        raise EvaluationError(f"there is no picture and no .txt file in the subfolders of {source}{beside}")
    return _dataset(source, kind, entries, with_domains), notes


def _of_table(table: Table, with_domains: bool) -> tuple[Dataset, list[str]]:
    _check_files(table)
    entries, notes = _sorted_out(table.path, table.read())
    if not entries:
        raise EvaluationError("; ".join((f"{table.path} has no row that can be used", *notes)))
    return _dataset(table.path, table.kind, entries, with_domains), notes


def _unknown_table(source: Path, columns: Columns, allow_outside: bool) -> Table:
    """Opens a table of unknown inputs. Only its contents count, and its columns may differ. Raises as `open_table`."""
    try:
        return open_table(
            source, Columns(text=columns.text, path=columns.path), allow_outside=allow_outside, needs_ids=False
        )
    except InputsError:
        return open_table(source, _USUAL, allow_outside=allow_outside, needs_ids=False)


def _sorted_out(source: Path, inputs: Iterable[Entry | Unreadable]) -> tuple[list[Entry], list[str]]:
    """Separates the entries from the unusable inputs, and returns a note on the latter."""
    entries, named, count = list[Entry](), list[str](), 0
    for one in inputs:
        if isinstance(one, Entry):
            entries.append(replace(one, label=intern(one.label or ""), domain=intern(one.domain or "")))
        else:
            count += 1
            named += [f"{one.source}: {one.message}"] if count <= _NAMED else []
    if not count:
        return entries, []
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    inputs_are = "1 input of" if count == 1 else f"{count} inputs of"
    are = "is" if count == 1 else "are"
    return entries, [f"{inputs_are} {source} cannot be used and {are} left out ({'; '.join(named)}{more})"]


def _left_out(source: Path, skipped: Skipped) -> list[str]:
    return [f"left out in {source}: {skipped}"] if str(skipped) else []


def _dataset(source: Path, kind: Kind, entries: Sequence[Entry], with_domains: bool) -> Dataset:
    domains = [one.domain or "" for one in entries] if with_domains else None
    labels, groups = [one.label or "" for one in entries], [one.group or "" for one in entries]
    return Dataset.of(source, kind, list(map(_content, entries)), labels, domains, groups)


def _check_files(table: Table) -> None:
    if table.column == "bytes" and table.kind == "image":
        step = "name a column of files with --path-column, or one of texts with --text-column"
        raise EvaluationError(f"{table.path} contains image bytes; name image files instead", step)


def _content(entry: Entry) -> str:
    return str(entry.content)


def _translated(source: Path, error: Exception) -> EvaluationError:
    if isinstance(error, InputsError):
        return EvaluationError(error.message, error.next_step)
    return EvaluationError(f"{source} cannot be read: {getattr(error, 'strerror', None) or error}")


def _within(entry: Entry, folder: Path) -> bool:
    file = entry.content if isinstance(entry.content, Path) else Path(entry.source)
    # Resolve the folder only: a file that is a link still lies in its own folder.
    return (file.parent.resolve() / file.name).is_relative_to(folder.resolve())
