"""Lists the files of a model's folder, and keeps readers inside it."""

import os
from pathlib import Path

from glimpse.backbone.pull.errors import PullError
from glimpse.files.digest import digest

_MAX_FILES = 10_000


def files_in(folder: Path) -> dict[str, Path]:
    """Returns the files of a folder by their names, with "/" between folders.

    Links count if they lead to a file of the folder, or to a blob beside it as in the cache of the hub's client.

    Raises:
        PullError: there is no such folder, or it has more files than a model has.
    """
    if not folder.is_dir():
        raise PullError(f"there is no folder {folder}")
    files: dict[str, Path] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(place) / name
            files[file.relative_to(folder).as_posix()] = file
            if len(files) > _MAX_FILES:
                raise PullError(f"{folder} has more than {_MAX_FILES:,} files; name the folder of one model")
    roots = [folder.resolve()]
    if folder.resolve().parent.name == "snapshots":
        roots.append(folder.resolve().parent.parent / "blobs")
    return {name: file for name, file in files.items() if file.is_file() and _inside(file, roots)}


def records_of(files: dict[str, Path]) -> dict[str, dict[str, object]]:
    """Returns SHA-256 and size of files by name, for a manifest's provenance."""
    return {name: {"sha256": digest(file), "bytes": file.stat().st_size} for name, file in sorted(files.items())}


def _inside(file: Path, roots: list[Path]) -> bool:
    resolved = file.resolve()
    return any(resolved.is_relative_to(root) for root in roots)
