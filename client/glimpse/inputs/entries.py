"""The results of reading: entries, and inputs that cannot be read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["image", "text"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One input.

    Attributes:
        id: The id in the data, or the place in its folder or table. It is the same in every run.
        source: The place for people: a file, `table.csv:17`, `shard-000.tar/key`.
        kind: Whether it is an image or a text.
        label: The label, stripped and in NFC; None if it has none.
        domain: The domain, stripped and in NFC; None if it has none.
        content: A file that is not read yet, the bytes of a picture, or a text.
        group: What the input is a part of, stripped and in NFC; None if it is in no group.
    """

    id: str
    source: str
    kind: Kind
    label: str | None
    domain: str | None
    content: Path | bytes | str
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An input that cannot be read.

    Attributes:
        source: The place for people, as in `Entry`.
        id: The id, if it is known.
        reason: A stable reason for programs, such as `ROW_MALFORMED`.
        message: The reason for people.
    """

    source: str
    id: str | None
    reason: str
    message: str
