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
    group_of,
    kind_of,
    label_of,
    legible,
    picture_suffixes,
    walk,
)
from glimpse.inputs.folders import Listing, broken_link, check_depth, is_hidden, unlisted_folder

_LEVELS = ("label", "domain", "group", "*")


@dataclass(frozen=True, slots=True)
class Layout:
    """The meaning of each level of subfolders: `label`, `domain`, `group`, or `*` for none. Without levels: no labels.

    A group's name is the path down to its level, so equal names below two labels are two groups.
    """

    levels: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str | None) -> "Layout":
        """Parses `label`, `domain/label`, `*/label`, `label/label` or `label/group`; a colon joins labels.

        Raises:
            BuildError: it says nothing about labels.
        """
        if text is None:
            return cls()
        levels = tuple(text.split("/"))
        unknown = [level for level in levels if level not in _LEVELS]
        if unknown or "label" not in levels or levels[-1] == "*" or max(map(levels.count, ("domain", "group"))) > 1:
            raise BuildError(
                f"{text!r} does not say where labels are",
                "give each level of subfolders: label, domain/label, */label, label/label or label/group",
            )
        return cls(levels)

    def named(self, subfolders: Sequence[str]) -> tuple[str | None, str | None, str | None]:
        """Returns a file's label, domain and group; no label if the file is less deep than that. Raises Rejected."""
        labels, domain, group = list[str](), None, None
        for depth, (level, name) in enumerate(zip(self.levels, subfolders, strict=False), 1):
            if level == "label":
                labels.append(name)
            elif level == "domain":
                domain = domain_of(name)
            elif level == "group":
                group = group_of("/".join(subfolders[:depth]))
        whole = bool(labels) and len(labels) == self.levels.count("label")
        return label_of(":".join(labels)) if whole else None, domain, group


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
        label, domain, group = layout.named(parts[:-1])
    except Rejected as error:
        return Unreadable(source, id_, error.reason, str(error))
    return Entry(id_, source, kind, label, domain, path, group)


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
