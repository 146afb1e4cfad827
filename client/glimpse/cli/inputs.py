"""What a command is given, as inputs: files, folders, lines of text."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from glimpse.cli.errors import CliError
from glimpse.cli.output import tell
from glimpse.client import Input, Text

_IMAGES = frozenset(  # what the server decodes
    f".{suffix}"
    for suffix in (
        *("png", "jpg", "jpeg", "mpo", "webp", "gif", "tif", "tiff", "avif", "jp2"),
        *("bmp", "ppm", "pgm", "pbm", "pnm"),
    )
)
_NAMED = 10  # label folders without a picture
_SHOWN = 60  # characters of a text that stand for it


@dataclass(frozen=True, slots=True)
class Source:
    """One input: what to call it, its content, and the label a line or a folder gives it."""

    name: str
    content: Path | str
    label: str = ""

    def as_input(self) -> Input:
        """As the client takes it."""
        return Input(self.content if isinstance(self.content, Path) else Text(self.content))


def read_sources(paths: Iterable[Path] | None, texts: Iterable[str] | None) -> list[Source]:
    """Every input named on the command line, in order; folders with their subfolders. Raises CliError."""
    found = [source for path in paths or () for source in _of_path(path)]
    found += [Source(text[:_SHOWN], text) for text in texts or ()]
    return _some(found)


def read_labelled(paths: Iterable[Path] | None, texts: Iterable[str] | None, label: str) -> list[Source]:
    """As read_sources, each with a label: the line's own, `label`, or its folder's name. Raises CliError."""
    found: list[Source] = []
    for path in paths or ():
        if path.is_dir() and not label:
            found += _of_labelled_folder(path)
        else:
            found += _of_path(path)
    found += [Source(text[:_SHOWN], text) for text in texts or ()]
    labelled = [Source(one.name, one.content, one.label or label) for one in _some(found)]
    if lacking := [one.name for one in labelled if not one.label]:
        message = f"{lacking[0]} has no label" + (f", nor have {len(lacking) - 1} others" if lacking[1:] else "")
        raise CliError(message, "give one with --label, or put the files into a folder with a subfolder a label")
    return labelled


def _some(found: Sequence[Source]) -> list[Source]:
    if not found:
        raise CliError("there is nothing to read", "name image files, folders, .txt or .jsonl files, or give --text")
    return list(found)


def _of_path(path: Path) -> Iterator[Source]:
    if path.is_dir():
        images = images_in(path)
        if not images:
            raise CliError(f"there is no image in the folder {path}", f"it looks for {' '.join(sorted(_IMAGES))}")
        yield from (Source(str(image), image) for image in images)
    elif not path.exists():
        raise CliError(f"there is no file {path}")
    elif path.suffix.lower() == ".txt":
        yield from _of_lines(path)
    elif path.suffix.lower() in (".jsonl", ".ndjson"):
        yield from _of_json_lines(path)
    else:
        yield Source(str(path), path)


def _of_labelled_folder(folder: Path) -> Iterator[Source]:
    labels = label_folders(folder)
    if not labels:
        raise CliError(
            f"the folder {folder} has no subfolders to take labels from", "give the label of its files with --label"
        )
    images = {child.name: images_in(child) for child in labels}
    _tell_left_out(folder, [label for label, found in images.items() if not found])
    for label, found in images.items():
        yield from (Source(str(image), image, label) for image in found)


def _tell_left_out(folder: Path, empty: Sequence[str]) -> None:
    """Pictures that have no label, and labels that have no picture: most often a slip."""
    beside = sum(map(_is_image, folder.iterdir()))
    parts = [f"{beside} {'picture' if beside == 1 else 'pictures'} beside the label folders"] if beside else []
    if empty:
        names = ", ".join([*empty[:_NAMED], *(["…"] if empty[_NAMED:] else [])])
        parts.append(f"{len(empty)} label {'folder' if len(empty) == 1 else 'folders'} without a picture ({names})")
    if parts:
        tell(f"left out in {folder}: {'; '.join(parts)}")


def label_folders(folder: Path) -> list[Path]:
    """The subfolders whose names are labels, by name; hidden ones are not."""
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def images_in(folder: Path) -> list[Path]:
    """The image files in a folder and its subfolders, by name."""
    return sorted(filter(_is_image, folder.rglob("*")))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in _IMAGES and file.is_file()


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise CliError(f"{path} is not UTF-8 text", "save it as UTF-8") from error
    return ((f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line.strip())


def _of_lines(path: Path) -> Iterator[Source]:
    return (Source(name, line) for name, line in _lines(path))


def _of_json_lines(path: Path) -> Iterator[Source]:
    for name, line in _lines(path):
        try:
            value = json.loads(line)
        except ValueError as error:
            raise CliError(f"{name} is not JSON: {error}") from error
        if isinstance(value, str):
            yield Source(name, value)
        elif isinstance(value, dict) and isinstance(value.get("text"), str):
            yield Source(str(value.get("id") or name), value["text"], str(value.get("label") or ""))
        else:
            raise CliError(f"{name} is neither a JSON string nor an object with `text`")
