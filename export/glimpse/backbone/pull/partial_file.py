"""Files to download, and notes on what has arrived of them, so that another process can go on."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to download.

    Attributes:
        name: its name in the model's folder.
        url: where it is.
        size: bytes, if known.
        sha256: the SHA-256 of its content, if known.
        git_id: the id of its content in git (SHA-1 of header and content), if known.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    git_id: str | None = None


def _identity(file: RemoteFile) -> list[str | None]:
    return [file.url, file.sha256, file.git_id]


def write_note(note: Path, file: RemoteFile, mark: str | None) -> None:
    """Notes what a partial file is of. A weak ETag does not mark bytes, so it is not kept."""
    usable = mark if mark and not mark.startswith("W/") else None
    note.write_text(json.dumps({"of": _identity(file), "mark": usable}), "utf-8")


def mark_of(note: Path, file: RemoteFile) -> str | None:
    """Returns the ETag of the file that a partial file belongs to; None if it is of another file, or unknown."""
    with suppress(OSError, ValueError):
        values: Mapping[str, Any] = json.loads(note.read_text("utf-8"))
        if values["of"] == _identity(file):
            mark: str | None = values["mark"]
            return mark
    return None
