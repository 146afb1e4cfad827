"""Datasets as people have them: folders, CSV, TSV and JSON lines."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from sys import intern
from typing import Any

from PIL import Image

from glimpse.backbone import Kind
from glimpse.evaluate.dataset import Dataset
from glimpse.evaluate.errors import EvaluationError

_CONTENTS: Mapping[str, Kind] = {"text": "text", "path": "image", "image": "image"}
#: A line's number, and what stands there by column.
_Row = tuple[int, Mapping[str, Any]]
_TABLES, _JSON_LINES = {".csv": ",", ".tsv": "\t"}, (".jsonl", ".ndjson")
# A text in one cell may be long.
csv.field_size_limit(1 << 27)


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table's columns are called. No text: `text`, or for pictures `path` or `image`."""

    label: str = "label"
    text: str | None = None

    @property
    def contents(self) -> Mapping[str, Kind]:
        """The columns that may hold inputs."""
        return {self.text: "text"} if self.text else _CONTENTS


def read_dataset(
    source: Path, columns: Columns, *, with_domains: bool = False, without: Path | None = None
) -> tuple[Dataset, list[str]]:
    """A folder (LABEL/file; with domains DOMAIN/LABEL/file) or a table, and what to say of it. Raises EvaluationError.

    What lies in the folder `without` has no label here.
    """
    if source.is_dir():
        if columns != Columns():
            raise EvaluationError(f"{source} is a folder and has no columns", "its subfolders are the labels")
        return _of_folder(source, with_domains, without if without and without.is_dir() else None)
    kind, records = _records(source, columns.contents)
    return _of_records(source, kind, records, columns, with_domains), []


def read_strangers(source: Path, columns: Columns, kind: Kind) -> Dataset:
    """Inputs of no label: every picture, or text file, of a folder, or a table's column. Raises EvaluationError."""
    if source.is_dir():
        kind_there, contents = _contents(source, _in_folders([source])[0])
    else:
        named = {**columns.contents, **_CONTENTS}  # another table may have other columns
        kind_there, records = _records(source, named)
        contents = [_content(source, line, record, named, kind_there)[1] for line, record in records]
    if kind_there != kind:
        raise EvaluationError(f"{source} holds {kind_there}s, and the data are {kind}s", "both must be of one kind")
    if not contents:
        raise EvaluationError(f"{source} holds no {kind}")
    return Dataset.of(source, kind, contents, ["unknown"] * len(contents))


def _of_folder(source: Path, with_domains: bool, without: Path | None) -> tuple[Dataset, list[str]]:
    parents = _subfolders(source) if with_domains else [source]
    folders = [(parent.name, label) for parent in parents for label in _subfolders(parent)]
    if not folders:
        wanted = "DOMAIN/LABEL/file" if with_domains else "LABEL/file"
        raise EvaluationError(f"the folder {source} has no subfolders to take labels from", f"it reads {wanted}")
    files, labels, domains, left_out = list[Path](), list[str](), list[str](), 0
    for (domain, label), found in zip(folders, _in_folders([label for _, label in folders]), strict=True):
        kept = [one for one in found if without is None or not _within(one, without)]
        left_out += len(found) - len(kept)
        files += kept
        labels += [label.name] * len(kept)
        domains += [domain] * len(kept)
    notes = [f"{without} lies in the data: its {left_out} inputs are strangers, and of no label"] if left_out else []
    kind, contents = _contents(source, files)
    if not contents:
        beside = f" beside {without}" if left_out else ""
        raise EvaluationError(f"there is no picture and no .txt file in the subfolders of {source}{beside}")
    return Dataset.of(source, kind, contents, labels, domains if with_domains else None), notes


def _within(file: Path, folder: Path) -> bool:
    # Of the folder alone: that a file is a link says nothing of where it stands.
    return (file.parent.resolve() / file.name).is_relative_to(folder.resolve())


def _subfolders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _in_folders(folders: Sequence[Path]) -> list[list[Path]]:
    """The pictures of each, with its subfolders, by name; the .txt files where none of them has a picture."""
    Image.init()
    pictures = {suffix for suffix, format_ in Image.EXTENSION.items() if format_ in Image.OPEN}
    files = [
        sorted(one for one in folder.rglob("*") if not one.name.startswith(".") and one.is_file()) for folder in folders
    ]
    found = [[one for one in some if one.suffix.lower() in pictures] for some in files]
    return found if any(found) else [[one for one in some if one.suffix.lower() == ".txt"] for some in files]


def _contents(source: Path, files: Sequence[Path]) -> tuple[Kind, list[str]]:
    if not files or files[0].suffix.lower() != ".txt":
        return "image", [str(one) for one in files]
    try:
        return "text", [one.read_text("utf-8") for one in files]
    except UnicodeDecodeError as error:
        raise EvaluationError(f"a text in {source} is not UTF-8: {error}") from error


def _records(source: Path, named: Mapping[str, Kind]) -> tuple[Kind, Iterator[_Row]]:
    """What a table's rows hold, and the rows, read as they are asked for."""
    suffix = source.suffix.lower()
    if not source.is_file():
        raise EvaluationError(f"there is no file or folder {source}")
    if suffix not in (*_TABLES, *_JSON_LINES):
        raise EvaluationError(f"{source} is neither a folder nor .csv, .tsv or .jsonl")
    rows = _rows(source, suffix)
    first = next(rows, None)
    if first is None:
        raise EvaluationError(f"{source} has no row")
    for column, kind in named.items():
        if column in first[1]:
            return kind, chain([first], rows)
    wanted = " or ".join(map(repr, named))
    raise EvaluationError(_lacking(source, wanted, first[1]), "name the one with the texts with --text-column")


def _rows(source: Path, suffix: str) -> Iterator[_Row]:
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            yield from (
                _json_rows(source, file) if suffix in _JSON_LINES else _table_rows(source, file, _TABLES[suffix])
            )
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{source} cannot be read: {error}") from error


def _table_rows(source: Path, file: Any, delimiter: str) -> Iterator[_Row]:
    reader = csv.DictReader(file, delimiter=delimiter)
    for record in reader:
        if None in record or None in record.values():
            raise EvaluationError(f"{source}, line {reader.line_num}: not as many cells as the first line has")
        yield reader.line_num, record


def _json_rows(source: Path, file: Any) -> Iterator[_Row]:
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except ValueError as error:
            raise EvaluationError(f"{source}, line {line}: not JSON: {error}") from error
        if not isinstance(record, dict):
            raise EvaluationError(f"{source}, line {line}: not a JSON object")
        yield line, record


def _of_records(source: Path, kind: Kind, records: Iterator[_Row], columns: Columns, with_domains: bool) -> Dataset:
    taken: dict[str, list[str]] = {name: [] for name in (columns.label, *(["domain"] if with_domains else []))}
    contents = []
    for line, record in records:
        column, content = _content(source, line, record, columns.contents, kind)
        contents.append(content)
        for name in taken:
            if name not in record:
                step = "name the one with the labels with --label-column" if name == columns.label else ""
                raise EvaluationError(_lacking(source, repr(name), record), step)
            if not (value := str(record[name]).strip()):
                raise EvaluationError(f"{source}, line {line}: {name!r} is empty, beside {column} {content[:60]!r}")
            taken[name].append(intern(value))  # a million rows have few labels
    return Dataset.of(source, kind, contents, taken[columns.label], taken.get("domain"))


def _content(
    source: Path, line: int, record: Mapping[str, Any], named: Mapping[str, Kind], kind: Kind
) -> tuple[str, str]:
    """A record's column of content, and what stands there; files relative to the table's folder."""
    for column, kind_there in named.items():
        if kind_there == kind and column in record:
            if not isinstance(record[column], str):
                raise EvaluationError(f"{source}, line {line}: {column!r} is no text")
            return column, record[column] if kind == "text" else str(source.parent / record[column])
    raise EvaluationError(f"{source}, line {line}: no {kind}, as in the first line")


def _lacking(source: Path, wanted: str, there: Mapping[str, Any]) -> str:
    names = ", ".join(map(str, there)) or "nothing"
    return f"{source} has no column {wanted}; it has {names}"
