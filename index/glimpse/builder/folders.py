"""Pictures, or texts, of folders and of patterns like `photos/*/*.jpg`; labels from the names of subfolders."""

import errno
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from glimpse.builder.entries import Entry, Kind, Unreadable
from glimpse.builder.errors import BuildError
from glimpse.builder.fields import FILE_UNREADABLE, Rejected, domain_of, label_of, legible

PICTURES = frozenset(  # what the backbones decode
    f".{suffix}"
    for suffix in (
        *("png", "jpg", "jpeg", "mpo", "webp", "gif", "tif", "tiff", "avif", "jp2"),
        *("bmp", "ppm", "pgm", "pbm", "pnm"),
    )
)
_DEEPEST = 256
_LEVELS = ("label", "domain", "*")


@dataclass(frozen=True, slots=True)
class Layout:
    """What each level of subfolders stands for: `label`, `domain`, or `*` for nothing. No level: no labels."""

    levels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> "Layout":
        """`label`, `domain/label`, `*/label`; `label/label` is joined by a colon. Raises BuildError."""
        if text is None:
            return cls()
        levels = tuple(text.split("/"))
        unknown = [level for level in levels if level not in _LEVELS]
        if unknown or "label" not in levels or levels[-1] == "*" or levels.count("domain") > 1:
            raise BuildError(
                f"{text!r} does not say where labels are",
                "name each level of subfolders: label, domain/label, */label or label/label",
            )
        return cls(levels)

    def named(self, subfolders: Sequence[str]) -> tuple[str | None, str | None]:
        """A file's label and domain; no label where the file lies less deep. Raises Rejected."""
        labels, domain = list[str](), None
        for level, name in zip(self.levels, subfolders, strict=False):
            if level == "label":
                labels.append(legible(name))
            elif level == "domain":
                domain = domain_of(legible(name))
        whole = bool(labels) and len(labels) == self.levels.count("label")
        return label_of(":".join(labels)) if whole else None, domain


def read_folder(folder: Path, layout: Layout, kinds: Collection[Kind]) -> Iterator[Entry | Unreadable]:
    """The pictures of a folder and its subfolders, by name; the .txt files where the backbone reads no pictures.

    In memory are the names of one folder at a time, and of those around it.
    """
    kind: Kind = "image" if "image" in kinds else "text"
    suffixes = PICTURES if kind == "image" else {".txt"}
    begins = folder.resolve().name
    for found in _walk(folder, (), suffixes, frozenset()):
        yield found if isinstance(found, Unreadable) else file_entry(folder, begins, found, layout, kind)


def file_entry(folder: Path, begins: str, parts: Sequence[str], layout: Layout, kind: Kind) -> Entry | Unreadable:
    """A file by the names that lead to it below a folder; its id begins with the folder's name."""
    path = folder.joinpath(*parts)
    id_, source = legible("/".join((begins, *parts))), legible(str(path))
    try:
        label, domain = layout.named(parts[:-1])
    except Rejected as error:
        return Unreadable(source, id_, error.reason, str(error))
    return Entry(id_, source, kind, label, domain, path)


def _walk(
    folder: Path, below: tuple[str, ...], suffixes: Collection[str], around: frozenset[tuple[int, int]]
) -> Iterator[tuple[str, ...] | Unreadable]:
    try:
        _check_depth(len(below))
        state = folder.stat()
        listing = _Listing.of(folder)
    except OSError as error:
        yield _unlisted(folder, error)
        return
    here = (state.st_dev, state.st_ino)
    if here in around:  # a link to a folder that is being read already
        return
    for name in listing.names:
        if name in listing.folders:
            yield from _walk(folder / name, (*below, name), suffixes, around | {here})
        elif os.path.splitext(name)[1].lower() in suffixes:
            yield _lost(folder / name) if name in listing.lost else (*below, name)


def matches(folder: Path, parts: Sequence[str], depth: int = 0) -> Iterator[Path | Unreadable]:
    """What a pattern's parts match below a folder, by name; `**` is any depth, and follows no links."""
    if not parts or parts == ["**"]:
        yield folder
        return
    try:
        _check_depth(depth)
        listing = _Listing.of(folder, hidden=parts[0].startswith("."))
    except NotADirectoryError:
        return
    except OSError as error:
        yield _unlisted(folder, error)
        return
    deep = parts[0] == "**"
    pattern, rest = (parts[1], parts[2:]) if deep else (parts[0], parts[1:])
    for name in listing.names:
        if fnmatchcase(name, pattern) and (not rest or name in listing.folders):
            yield from [_lost(folder / name)] if name in listing.lost else matches(folder / name, rest, depth + 1)
        if deep and name in listing.folders and not (folder / name).is_symlink():
            yield from matches(folder / name, parts, depth + 1)


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise OSError(errno.ELOOP, f"it lies more than {_DEEPEST} folders deep")


def _unlisted(folder: Path, error: OSError) -> Unreadable:
    source = legible(str(folder))
    return Unreadable(source, None, "FOLDER_UNREADABLE", f"{source} cannot be listed: {error.strerror}")


def _lost(path: Path) -> Unreadable:
    source = legible(str(path))
    return Unreadable(source, None, FILE_UNREADABLE, f"{source} is a link that leads to no file")


@dataclass(frozen=True, slots=True)
class _Listing:
    """A folder's names in order; which are folders, and which are links to nothing that can be read."""

    names: list[str]
    folders: set[str]
    lost: set[str]

    @classmethod
    def of(cls, folder: Path, *, hidden: bool = False) -> "_Listing":
        names, folders, lost = list[str](), set[str](), set[str]()
        with os.scandir(folder) as found:
            for one in found:
                if one.name.startswith(".") != hidden:
                    continue
                try:
                    is_folder, is_file = one.is_dir(), one.is_file()
                except OSError:  # a link in a circle, or into a folder closed to us
                    is_folder = is_file = False
                if is_folder:
                    folders.add(one.name)
                elif not is_file:
                    if not one.is_symlink():  # a pipe, a socket: reading it may never end
                        continue
                    lost.add(one.name)
                names.append(one.name)
        names.sort()
        return cls(names, folders, lost)
