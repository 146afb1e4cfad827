"""Reads a folder's inputs as entries, without labels or with the names of its subfolders as labels."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from glimpse.inputs.entries import Entry, Kind, Unreadable
from glimpse.inputs.errors import FILE_UNREADABLE, InputsError, Rejected
from glimpse.inputs.fields import domain_of, group_of, label_of, legible
from glimpse.inputs.folders import File, Skipped, is_hidden, subfolders, walk
from glimpse.inputs.formats import TEXTS, picture_suffixes
from glimpse.inputs.lines import read_text


def kind_of(folder: Path) -> Kind:
    """Returns `text` for a folder with .txt files and no picture, and `image` for any other."""
    if any(isinstance(file, File) for file in walk(folder, picture_suffixes())):
        return "image"
    return "text" if any(isinstance(file, File) for file in walk(folder, TEXTS)) else "image"


def read_folder(
    folder: Path,
    kind: Kind,
    skipped: Skipped,
    within: Collection[Path] = (),
    *,
    group_depth: int = 0,
    parents: Sequence[str] = (),
) -> Iterator[Entry | Unreadable]:
    """Yields the inputs of a folder and its subfolders, sorted by name, without labels.

    Args:
        folder: The folder.
        kind: Whether to read pictures, or .txt files as one text each.
        skipped: Counts the files that are left out.
        within: As in `walk`.
        group_depth: The level of subfolders whose files are one group, from 1; 0: no groups. A group's name is the
            path down to that level, so equal names below two folders are two groups.
        parents: Names of the folders above `folder` that count as levels.
    """
    prefix = folder.resolve().name
    for file in walk(folder, picture_suffixes() if kind == "image" else TEXTS, skipped, within):
        if isinstance(file, Unreadable):
            yield file
        else:
            levels = (*parents, *file.parts[:-1])[:group_depth]
            group = "/".join(map(legible, levels)) if group_depth and len(levels) == group_depth else ""
            yield _entry(file, legible("/".join((prefix, *file.parts))), kind, group)


def read_labelled(
    folder: Path, kind: Kind, skipped: Skipped, *, with_domains: bool = False, group_depth: int = 0
) -> Iterator[Entry | Unreadable]:
    """Yields the inputs of LABEL/file or DOMAIN/LABEL/file, label by label, including subfolders of a label.

    A folder whose name is not a valid label yields one `Unreadable`.

    Args:
        folder: The folder.
        kind: Whether to read pictures, or .txt files as one text each.
        skipped: Counts the files and folders that are left out.
        with_domains: Whether the first level of subfolders is the domain.
        group_depth: As in `read_folder`; the domain and the label are levels.

    Raises:
        InputsError: There is no label folder.
    """
    domains = subfolders(folder) if with_domains else [None]
    places = [(domain, label) for domain in domains for label in subfolders(domain or folder)]
    if not places:
        layout = "DOMAIN/LABEL/file" if with_domains else "LABEL/file"
        message = f"the folder {legible(str(folder))} has no subfolders to take labels from"
        raise InputsError(message, f"use the layout {layout}, or give one label for all files with --label")
    for parent in (folder, *(domain for domain in domains if domain)):
        _count_beside(parent, kind, skipped)
    for domain, label_folder in places:
        # A link into a parent folder would give the inputs of all labels to this label.
        within = [folder, domain] if domain else [folder]
        yield from _read_label(domain, label_folder, within, kind, skipped, group_depth)


def _read_label(
    domain: Path | None, folder: Path, within: Collection[Path], kind: Kind, skipped: Skipped, group_depth: int
) -> Iterator[Entry | Unreadable]:
    try:
        label, domain_name = label_of(_valid_name(folder)), domain_of(_valid_name(domain)) if domain else None
    except Rejected as error:
        source, files = legible(str(folder)), sum(1 for _ in read_folder(folder, kind, Skipped(), within))
        left_out = "1 file is" if files == 1 else f"{files:,} files are"
        yield Unreadable(source, None, error.reason, f"{error}; its {left_out} left out: rename the folder")
        return
    is_empty = True
    parents = [part.name for part in (domain, folder) if part]
    for entry in read_folder(folder, kind, skipped, within, group_depth=group_depth, parents=parents):
        is_empty = False
        yield replace(entry, label=label, domain=domain_name) if isinstance(entry, Entry) else entry
    if is_empty:
        skipped.empty.append(folder.name)


def _valid_name(folder: Path) -> str:
    """Returns a folder's name. Raises Rejected if it is not UTF-8."""
    if legible(folder.name) != folder.name:
        raise Rejected("LABEL_INVALID", f"the folder's name '{legible(folder.name)}' is not UTF-8")
    return folder.name


def _count_beside(folder: Path, kind: Kind, skipped: Skipped) -> None:
    suffixes = picture_suffixes() if kind == "image" else TEXTS
    for path in sorted(folder.iterdir()):
        if path.is_file() and not is_hidden(path.name):
            suffix = path.suffix.lower()
            if suffix in suffixes:
                skipped.beside += 1
            else:
                skipped.suffixes[legible(suffix)] += 1


def _entry(file: File, id_: str, kind: Kind, group: str) -> Entry | Unreadable:
    source = legible(str(file.path))
    try:
        content = file.path if kind == "image" else read_text(file.path)
        return Entry(id_, source, kind, None, None, content, group_of(group))
    except Rejected as error:
        return Unreadable(source, id_, error.reason, str(error))
    except OSError as error:
        return Unreadable(source, id_, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}")
