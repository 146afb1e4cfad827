"""The inputs of a folder as entries: without labels, or with those that its subfolders' names are."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from glimpse.inputs.entries import Entry, Kind, Unreadable
from glimpse.inputs.errors import FILE_UNREADABLE, InputsError, Rejected
from glimpse.inputs.fields import domain_of, label_of, legible
from glimpse.inputs.folders import File, Skipped, is_hidden, subfolders, walk
from glimpse.inputs.formats import TEXTS, picture_suffixes
from glimpse.inputs.lines import read_text


def kind_of(folder: Path) -> Kind:
    """What is read of a folder: its .txt files, a text each, where it has no picture but such files."""
    if any(isinstance(one, File) for one in walk(folder, picture_suffixes())):
        return "image"
    return "text" if any(isinstance(one, File) for one in walk(folder, TEXTS)) else "image"


def read_folder(
    folder: Path, kind: Kind, skipped: Skipped, within: Collection[Path] = ()
) -> Iterator[Entry | Unreadable]:
    """The pictures, or texts, of a folder and its subfolders, by name, without labels; `within` as in `walk`."""
    begins = folder.resolve().name
    for one in walk(folder, picture_suffixes() if kind == "image" else TEXTS, skipped, within):
        yield one if isinstance(one, Unreadable) else _entry(one, legible("/".join((begins, *one.parts))), kind)


def read_labelled(
    folder: Path, kind: Kind, skipped: Skipped, *, with_domains: bool = False
) -> Iterator[Entry | Unreadable]:
    """The inputs of LABEL/file, or DOMAIN/LABEL/file, label by label; subfolders of a label belong to it.

    A folder whose name is no label is one `Unreadable`.

    Raises:
        InputsError: There is no folder of a label.
    """
    domains = subfolders(folder) if with_domains else [None]
    places = [(domain, label) for domain in domains for label in subfolders(domain or folder)]
    if not places:
        wanted = "DOMAIN/LABEL/file" if with_domains else "LABEL/file"
        message = f"the folder {legible(str(folder))} has no subfolders to take labels from"
        raise InputsError(message, f"it reads {wanted}; or give the label of all its files with --label")
    for around in (folder, *(one for one in domains if one)):
        _count_beside(around, kind, skipped)
    for domain, place in places:
        # Through a link to these, every label's inputs would become this one's.
        within = [folder, domain] if domain else [folder]
        yield from _of_label(domain, place, within, kind, skipped)


def _of_label(
    domain: Path | None, folder: Path, within: Collection[Path], kind: Kind, skipped: Skipped
) -> Iterator[Entry | Unreadable]:
    try:
        label, of_domain = label_of(_readable(folder)), domain_of(_readable(domain)) if domain else None
    except Rejected as error:
        source, files = legible(str(folder)), sum(1 for _ in read_folder(folder, kind, Skipped(), within))
        left_out = "1 file is" if files == 1 else f"{files:,} files are"
        yield Unreadable(source, None, error.reason, f"{error}; its {left_out} left out: rename the folder")
        return
    is_empty = True
    for one in read_folder(folder, kind, skipped, within):
        is_empty = False
        yield replace(one, label=label, domain=of_domain) if isinstance(one, Entry) else one
    if is_empty:
        skipped.empty.append(folder.name)


def _readable(folder: Path) -> str:
    """A folder's name. Raises Rejected where UTF-8 cannot carry it."""
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


def _entry(file: File, id_: str, kind: Kind) -> Entry | Unreadable:
    source = legible(str(file.path))
    if kind == "image":
        return Entry(id_, source, kind, None, None, file.path)
    try:
        return Entry(id_, source, kind, None, None, read_text(file.path))
    except Rejected as error:
        return Unreadable(source, id_, error.reason, str(error))
    except OSError as error:
        return Unreadable(source, id_, FILE_UNREADABLE, f"{source} cannot be read: {error.strerror or error}")
