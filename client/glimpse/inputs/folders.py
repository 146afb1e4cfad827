"""Lists the files of a folder and its subfolders, sorted by name.

All commands follow the same rules. Hidden names and system folders are skipped at every depth. Links are followed,
except into a folder that is already being read. Files with other suffixes are counted.
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

_MAX_DEPTH = 256
_MAX_NAMES = 10  # names in a summary
# Files and folders that operating systems and NAS devices create.
_SYSTEM = frozenset(
    ("@eaDir", "#recycle", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini")
)


@dataclass(slots=True)
class Skipped:
    """Counts of files and folders that were left out.

    Attributes:
        suffixes: Files that are not read, by suffix.
        cycles: Links that were not followed, because they lead into a folder that is already being read.
        beside: Inputs beside the label folders, which have no label.
        empty: Names of label folders without an input.
    """

    suffixes: Counter[str] = field(default_factory=Counter)
    cycles: int = 0
    beside: int = 0
    empty: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Returns a summary, such as `1 .heic, 2 .txt not read`; empty if nothing was left out."""
        parts = [f"{_counted(self.beside, 'input')} beside the label folders"] if self.beside else []
        if self.empty:
            names = ", ".join([*map(legible, self.empty[:_MAX_NAMES]), *(["…"] if self.empty[_MAX_NAMES:] else [])])
            parts.append(f"{_counted(len(self.empty), 'label folder')} without an input ({names})")
        if self.suffixes:
            parts.append(f"{self._not_read()} not read")
        if self.cycles:
            parts.append(f"{_counted(self.cycles, 'link')} in a circle not followed")
        return "; ".join(parts)

    def _not_read(self) -> str:
        commonest = self.suffixes.most_common(_MAX_NAMES)
        names = [f"{count:,} {suffix or 'without a suffix'}" for suffix, count in commonest]
        if others := self.suffixes.total() - sum(count for _, count in commonest):
            names.append(f"{others:,} others")
        return ", ".join(names)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class File:
    """A file below a folder. `parts` are the names on the path from the folder to the file."""

    path: Path
    parts: tuple[str, ...]


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is skipped because of its name."""
    return name.startswith(".") or name in _SYSTEM


def walk(
    folder: Path, suffixes: Collection[str], skipped: Skipped | None = None, within: Collection[Path] = ()
) -> Iterator[File | Unreadable]:
    """Yields the files below a folder that have one of the suffixes, sorted by name.

    Memory holds only the names of the current folder and of its parents.

    Args:
        folder: The folder.
        suffixes: Suffixes in lower case, with their dots.
        skipped: Counts the files with other suffixes.
        within: Parent folders that are being read too. Links into one of them are not followed.

    Returns:
        Files, and an `Unreadable` for each folder that cannot be listed and each broken link.
    """
    parents = frozenset(_identity(parent) for parent in within)
    return _walk(folder, (), suffixes, parents, Skipped() if skipped is None else skipped)


def _identity(folder: Path) -> tuple[int, int]:
    """Returns the device and inode of a folder, which are the same through a link. Raises OSError."""
    state = folder.stat()
    return state.st_dev, state.st_ino


def pictures_in(folder: Path) -> list[Path]:
    """Returns the pictures below a folder, sorted by name. Leaves out what cannot be read."""
    return [file.path for file in walk(folder, picture_suffixes()) if isinstance(file, File)]


def subfolders(folder: Path) -> list[Path]:
    """Returns the folders directly in a folder, sorted by name. In a labelled folder these are the labels.

    Raises:
        OSError: The folder cannot be listed.
    """
    return sorted(child for child in folder.iterdir() if not is_hidden(child.name) and child.is_dir())


def _walk(
    folder: Path,
    parts: tuple[str, ...],
    suffixes: Collection[str],
    parents: frozenset[tuple[int, int]],
    skipped: Skipped,
) -> Iterator[File | Unreadable]:
    try:
        check_depth(len(parts))
        identity = _identity(folder)
        listing = Listing.of(folder)
    except OSError as error:
        yield unlisted_folder(folder, error)
        return
    if identity in parents:
        skipped.cycles += 1
        return
    for name in listing.names:
        suffix = os.path.splitext(name)[1].lower()
        if name in listing.folders:
            yield from _walk(folder / name, (*parts, name), suffixes, parents | {identity}, skipped)
        elif suffix not in suffixes:
            skipped.suffixes[legible(suffix)] += 1
        elif name in listing.broken:
            yield broken_link(folder / name)
        else:
            yield File(folder / name, (*parts, name))


def check_depth(depth: int) -> None:
    """Checks how deep folders are nested. Raises OSError past the limit."""
    if depth > _MAX_DEPTH:
        raise OSError(errno.ELOOP, f"folders are nested more than {_MAX_DEPTH} deep")


def unlisted_folder(folder: Path, error: OSError) -> Unreadable:
    """Returns the `Unreadable` for a folder that cannot be listed."""
    source = legible(str(folder))
    return Unreadable(source, None, "FOLDER_UNREADABLE", f"{source} cannot be listed: {error.strerror}")


def broken_link(path: Path) -> Unreadable:
    """Returns the `Unreadable` for a link to a file that does not exist."""
    source = legible(str(path))
    return Unreadable(source, None, FILE_UNREADABLE, f"{source} is a broken link")


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a folder.

    Attributes:
        names: All names, sorted.
        folders: The names of folders.
        broken: The names of links that lead to nothing readable.
    """

    names: list[str]
    folders: set[str]
    broken: set[str]

    @classmethod
    def of(cls, folder: Path, *, hidden: bool = False) -> "Listing":
        """Lists a folder. With `hidden`, lists only its hidden names. Raises OSError."""
        names, folders, broken = list[str](), set[str](), set[str]()
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name) != hidden:
                    continue
                try:
                    is_folder, is_file = entry.is_dir(), entry.is_file()
                except OSError:  # a circular link, or a link into a folder without permission
                    is_folder = is_file = False
                if is_folder:
                    folders.add(entry.name)
                elif not is_file:
                    if not entry.is_symlink():  # a pipe or socket, which may never end
                        continue
                    broken.add(entry.name)
                names.append(entry.name)
        names.sort()
        return cls(names, folders, broken)
