"""What reading comes to: entries, and inputs that cannot be one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["image", "text"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One input.

    Attributes:
        id: What the data call it, or its place below the folder or table it comes from: the same in every run.
        source: What a person opens to see it: a file, `table.csv:17`, `shard-000.tar/key`.
        content: A file still to be read, a picture's bytes, or a text.
    """

    id: str
    source: str
    kind: Kind
    label: str | None
    domain: str | None
    content: Path | bytes | str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An input that cannot even be an entry.

    Attributes:
        reason: Stable, for programs: `ROW_MALFORMED`.
        message: For people.
    """

    source: str
    id: str | None
    reason: str
    message: str
