"""Reads pictures or texts of folders and of patterns such as `photos/*/*.jpg`; labels come from subfolders."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from glimpse.builder.errors import BuildError
from glimpse.inputs import (
    TEXTS,
    Entry,
    Kind,
    Rejected,
    Skipped,
    Unreadable,
    domain_of,
    kind_of,
    label_of,
    legible,
    picture_suffixes,
    walk,
)
from glimpse.inputs.folders import Listing, broken_link, check_depth, is_hidden, unlisted_folder

_LEVELS = ("label", "domain", "*")


@dataclass(frozen=True, slots=True)
class Layout:
    """The meaning of each level of subfolders: `label`, `domain`, or `*` for none. Without levels: no labels."""

    levels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> "Layout":
        """Parses `label`, `domain/label`, `*/label` or `label/label`; a colon joins labels. Raises BuildError."""
        if text is None:
            return cls()
        levels = tuple(text.split("/"))
        unknown = [level for level in levels if level not in _LEVELS]
        if unknown or "label" not in levels or levels[-1] == "*" or levels.count("domain") > 1:
            raise BuildError(
                f"{text!r} does not say where labels are",
                "give each level of subfolders: label, domain/label, */label or label/label",
            )
        return cls(levels)

    def named(self, subfolders: Sequence[str]) -> tuple[str | None, str | None]:
        """Returns a file's label and domain; no label if the file is less deep than the levels. Raises Rejected."""
        labels, domain = list[str](), None
        for level, name in zip(self.levels, subfolders, strict=False):
            if level == "label":
                labels.append(name)
            elif level == "domain":
                domain = domain_of(name)
        whole = bool(labels) and len(labels) == self.levels.count("label")
        return label_of(":".join(labels)) if whole else None, domain


def read_folder(
    folder: Path, layout: Layout, kinds: Collection[Kind], skipped: Skipped
) -> Iterator[Entry | Unreadable]:
    """Yields the pictures of a folder and its subfolders by name, or its .txt files if there are no pictures to read.

    Memory holds the names of one folder and of its parents.

    Args:
        folder: the folder.
        layout: the meaning of subfolders.
        kinds: what the backbone reads.
        skipped: counts files that are not read.
    """
    (kind,) = kinds if len(kinds) == 1 else (kind_of(folder),)
    begins = folder.resolve().name
    for file in walk(folder, picture_suffixes() if kind == "image" else TEXTS, skipped):
        yield file if isinstance(file, Unreadable) else file_entry(folder, begins, file.parts, layout, kind)


def file_entry(folder: Path, begins: str, parts: Sequence[str], layout: Layout, kind: Kind) -> Entry | Unreadable:
    """Returns the entry of a file below a folder; its id starts with the folder's name."""
    path = folder.joinpath(*parts)
    id_, source = legible("/".join((begins, *parts))), legible(str(path))
    try:
        label, domain = layout.named(parts[:-1])
    except Rejected as error:
        return Unreadable(source, id_, error.reason, str(error))
    return Entry(id_, source, kind, label, domain, path)


def matches(folder: Path, parts: Sequence[str], depth: int = 0) -> Iterator[Path | Unreadable]:
    """Yields the paths below a folder that match a pattern's parts, by name; `**` is any depth and follows no links."""
    if not parts or parts == ["**"]:
        yield folder
        return
    try:
        check_depth(depth)
        listing = Listing.of(folder, hidden=is_hidden(parts[0]))
    except NotADirectoryError:
        return
    except OSError as error:
        yield unlisted_folder(folder, error)
        return
    deep = parts[0] == "**"
    pattern, rest = (parts[1], parts[2:]) if deep else (parts[0], parts[1:])
    for name in listing.names:
        if fnmatchcase(name, pattern) and (not rest or name in listing.folders):
            yield from (
                [broken_link(folder / name)] if name in listing.broken else matches(folder / name, rest, depth + 1)
            )
        if deep and name in listing.folders and not (folder / name).is_symlink():
            yield from matches(folder / name, parts, depth + 1)
