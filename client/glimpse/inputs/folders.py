"""The files of a folder and its subfolders, by name.

One rule for every command: hidden names and folders that systems keep for themselves are skipped at every depth; links
are followed, but never into a folder that is being read already; what has another suffix is counted.
"""

import errno
import os
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from glimpse.inputs.entries import Unreadable
from glimpse.inputs.errors import FILE_UNREADABLE
from glimpse.inputs.fields import legible
from glimpse.inputs.formats import picture_suffixes

_DEEPEST = 256
_NAMED = 10  # suffixes in a summary
# What systems put into folders for themselves.
_SYSTEM = frozenset(
    ("@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini")
)


@dataclass(slots=True)
class Skipped:
    """What a walk left out.

    Attributes:
        suffixes: Files that are not read, by suffix.
        cycles: Links into folders that were being read already.
        beside: Inputs that lie beside the folders of labels, and so have none.
        empty: Names of label folders without an input.
    """

    suffixes: Counter[str] = field(default_factory=Counter)
    cycles: int = 0
    beside: int = 0
    empty: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """As `1 .heic, 2 .txt not read`; empty where nothing was left out."""
        parts = [f"{_counted(self.beside, 'input')} beside the label folders"] if self.beside else []
        if self.empty:
            names = ", ".join([*map(legible, self.empty[:_NAMED]), *(["…"] if self.empty[_NAMED:] else [])])
            parts.append(f"{_counted(len(self.empty), 'label folder')} without an input ({names})")
        if self.suffixes:
            parts.append(f"{self._not_read()} not read")
        if self.cycles:
            parts.append(f"{_counted(self.cycles, 'link')} in a circle not followed")
        return "; ".join(parts)

    def _not_read(self) -> str:
        most = self.suffixes.most_common(_NAMED)
        names = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in most]
        if others := self.suffixes.total() - sum(count for _, count in most):
            names.append(f"{others:,} others")
        return ", ".join(names)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class File:
    """A file below a folder; `parts` are the names that lead to it from there."""

    path: Path
    parts: tuple[str, ...]


def is_hidden(name: str) -> bool:
    """Whether a file or folder is skipped for its name."""
    return name.startswith(".") or name in _SYSTEM


def walk(
    folder: Path, suffixes: Collection[str], skipped: Skipped | None = None, within: Collection[Path] = ()
) -> Iterator[File | Unreadable]:
    """The files below a folder with one of the suffixes, by name.

    One folder's names, and those of the folders around it, are in memory.

    Args:
        suffixes: In lower case, with their dots.
        skipped: Where files with other suffixes are counted.
        within: Folders around this one that are being read too: a link into one of them is not followed.

    Returns:
        Files; `Unreadable` for folders that cannot be listed and for links that lead nowhere.
    """
    around = frozenset(_identity(one) for one in within)
    return _walk(folder, (), suffixes, around, Skipped() if skipped is None else skipped)


def _identity(folder: Path) -> tuple[int, int]:
    """The device and inode of a folder, which links to it share. Raises OSError."""
    state = folder.stat()
    return state.st_dev, state.st_ino


def pictures_in(folder: Path) -> list[Path]:
    """The pictures below a folder, by name; what cannot be read is left out."""
    return [one.path for one in walk(folder, picture_suffixes()) if isinstance(one, File)]


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name: where subfolders are labels, the labels.

    Raises:
        OSError: The folder cannot be listed.
    """
    return sorted(child for child in folder.iterdir() if not is_hidden(child.name) and child.is_dir())


def _walk(
    folder: Path,
    below: tuple[str, ...],
    suffixes: Collection[str],
    around: frozenset[tuple[int, int]],
    skipped: Skipped,
) -> Iterator[File | Unreadable]:
    try:
        check_depth(len(below))
        here = _identity(folder)
        listing = Listing.of(folder)
    except OSError as error:
        yield unlisted_folder(folder, error)
        return
    if here in around:
        skipped.cycles += 1
        return
    for name in listing.names:
        suffix = os.path.splitext(name)[1].lower()
        if name in listing.folders:
            yield from _walk(folder / name, (*below, name), suffixes, around | {here}, skipped)
        elif suffix not in suffixes:
            skipped.suffixes[legible(suffix)] += 1
        elif name in listing.broken:
            yield broken_link(folder / name)
        else:
            yield File(folder / name, (*below, name))


def check_depth(depth: int) -> None:
    """Raises OSError where folders are nested too deep."""
    if depth > _DEEPEST:
        raise OSError(errno.ELOOP, f"it lies more than {_DEEPEST} folders deep")


def unlisted_folder(folder: Path, error: OSError) -> Unreadable:
    """A folder that cannot be listed."""
    source = legible(str(folder))
    return Unreadable(source, None, "FOLDER_UNREADABLE", f"{source} cannot be listed: {error.strerror}")


def broken_link(path: Path) -> Unreadable:
    """A link that leads to no file."""
    source = legible(str(path))
    return Unreadable(source, None, FILE_UNREADABLE, f"{source} is a link that leads to no file")


@dataclass(frozen=True, slots=True)
class Listing:
    """A folder's names in order; which are folders, and which are links to nothing that can be read."""

    names: list[str]
    folders: set[str]
    broken: set[str]

    @classmethod
    def of(cls, folder: Path, *, hidden: bool = False) -> "Listing":
        """Lists a folder; `hidden`: its hidden names alone. Raises OSError."""
        names, folders, broken = list[str](), set[str](), set[str]()
        with os.scandir(folder) as found:
            for one in found:
                if is_hidden(one.name) != hidden:
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
                    broken.add(one.name)
                names.append(one.name)
        names.sort()
        return cls(names, folders, broken)
